"""Forms in which a text is hidden from a person, and forms that look so and show it.

``{t}`` is the text. A browser has confirmed each of them: ``nox -s browser`` does so again.
"""

from __future__ import annotations

from typing import Final


def _styles(*styles: str) -> dict[str, str]:
    return {style: f'<div style="{style}">{{t}}</div>' for style in styles}


def _rules(**rules: str) -> dict[str, str]:
    return {
        name.replace("_", " "): f"<style>{css}</style><p class=k>{{t}}</p>"
        for name, css in rules.items()
    }


def _pages(*pages: str) -> dict[str, str]:
    return {page.replace("{t}", ""): page for page in pages}


_LOW: Final = "<div style=height:20px;overflow:hidden>"
_NARROW: Final = "<div style='width:40px;overflow:hidden;white-space:nowrap'>"
_HIDES: Final = ".k{display:none}"
_SHOWS: Final = ".k{display:block}"
_LONG: Final = ",".join(f".w{number}" for number in range(300))

HIDDEN: Final = {
    **_styles(
        "filter:invert(100%)", "filter:brightness(0%) invert(100%)", "filter:opacity(0)",
        "filter:opacity(90%) opacity(0%)", "filter:invert(1) brightness(1)",
        "mask-image:linear-gradient(transparent,transparent)",
        "-webkit-mask-image:linear-gradient(black,black);-webkit-mask-size:0 9px",
        "mask:linear-gradient(red,red) -5000px 0 no-repeat",
        "max-height:0;contain:strict", "height:1px;contain:paint", "contain:strict",
        "box-shadow:inset 0 0 0 50em red;color:red", "box-shadow:inset 0 40px 0 0 #000",
        "backface-visibility:hidden;transform:rotateX(180deg)",
        "backface-visibility:hidden;transform:rotate3d(0,1,0,170deg)",
        "rotate:y 90deg", "rotate:0 1 0 90deg", "transform:rotate3d(1,0,0,.25turn)",
        "transform:skew(90deg)", "transform:scale3d(1,0,1)", "transform:matrix(1,0,0,0,0,0)",
        "transform:translate(-200vw)", "translate:-100vw", "transform:scale(1,.001)",
        "transform-origin:-5000px 0;transform:rotateZ(.5turn)",
        "offset-path:path('M -9000 0 L -9001 0')", "offset:path('M-5000 -5000h1')",
        "font-size:calc(1em - 1em)", "font-size:min(0px,1em)", "font-size:clamp(0px,0px,20px)",
        "font-size:calc(1px*cos(90deg))", "font-size:round(down,3px,10px)",
        "font-size:rem(9px,3px)",
        "font-size:max(-5px,0px)", "font-size:calc(10px*sign(0))", "font-size-adjust:0",
        "content:url(data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==)",
        "position:absolute;inset-inline-start:-4000px", "position:absolute;inset:auto auto 200% 0",
        "position:absolute;inset-block:-3000px auto", "margin-inline:-4000px 0",
        "margin-block-start:-4000px", "position:fixed;top:100vh", "position:fixed;left:100vw",
        "position:fixed;bottom:-200px", "position:fixed;inset:110% 0 auto",
        "position:absolute;left:0;right:100%;overflow:hidden",
        "position:absolute;inset:30% 60% 70% 40%;overflow:hidden",
        "height:18px;line-height:300px;overflow:hidden", "height:30px;padding-top:90px;"
        "box-sizing:border-box;overflow:hidden", "width:0;white-space:nowrap;overflow:clip",
        "color:hsl(0 0% 100%)", "color:lab(100% 0 0)", "color:color(srgb 1 1 1)",
        "color:color-mix(in srgb,white,white)", "color:rgb(from black 255 255 255)",
        "color:light-dark(white,black)", "color:contrast-color(#111)", "color:#fff0",
        "color:rgb(0 0 0/0%)", "background:#000;color:rgb(0 0 0)",
        "background:conic-gradient(green,green);color:green", "color:Canvas",
        "-webkit-text-fill-color:white", "background:#fff;mix-blend-mode:normal;color:#fff",
        "backdrop-filter:invert(1)", "clip-path:circle(0px)", "clip-path:inset(0 0 100% 0)",
        "clip-path:polygon(0 0,0 0)", "clip-path:ellipse(0 0)", "clip-path:xywh(0 0 0 0)",
        "clip-path:path('M 900 900 h 5')", "clip-path:rect(0 0 0 0)", "text-indent:-50em",
        "display:if(style(--a:b):block;else:none)", "all:unset;display:none", "zoom:.01",
        "--k:none;display:var(--k)", "display:var(--unset,none)", "opacity:calc(1 - 1)",
        "-webkit-text-security:disc;display:none", "content-visibility:hidden",
        "content-visibility:auto;max-height:0", "-webkit-mask-image:-webkit-gradient(linear,0 0,"
        "0 100%,from(transparent),to(transparent))", "box-shadow:inset -2000px 0 #000",
        "backface-visibility:hidden;transform:scaleZ(-1)", "transform:scaleZ(0)",
        "transform:perspective(9px) translateZ(9px)", "transform:perspective(1px) "
        "translateZ(-9000px)", "transform:matrix3d(1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,999)",
        "rotate:90deg 0 1 0", "font:oblique 5deg 0px serif", "font-size-adjust:.002",
        "line-height:0;overflow:hidden", "font:16px/0 serif;contain:paint", "line-height:99999px",
        "position:absolute;right:100%", "position:fixed;right:100vw", "-webkit-margin-start:-99em",
        "-webkit-margin-before:-99em", "padding-top:90px;max-height:50px;overflow:hidden;"
        "box-sizing:border-box", "border-top:60px solid;height:50px;overflow:hidden;"
        "box-sizing:border-box", "border-left:9000px solid", "float:right;margin-right:-9000px",
        "display:grid;grid-template-rows:0;overflow:hidden", "aspect-ratio:2000;overflow:hidden",
        "direction:rtl;margin-right:-9000px", "text-align:right;margin-right:-9000px",
        "color:color(xyz 0.95 1 1.09)", "color:color-mix(in srgb,white,white)",
        "color:rgb(from black r g b/calc(alpha*0))", "color:HighlightText",
        "background:red;color:color(display-p3 .9175 .2003 .1386)",
        "background:-webkit-gradient(linear,0 0,0 100%,from(#000),to(#000))",
        "background:linear-gradient(currentcolor,currentcolor)",
        "background:image-set(linear-gradient(#000,#000) 1x)", "color:transparent;"
        "background:linear-gradient(red,red) -9999px 0 no-repeat;-webkit-background-clip:text",
        "color-scheme:dark;color:CanvasText", "color-scheme:dark;color:light-dark(black,white)",
        "clip-path:border-box;height:0", "clip-path:inset(0);line-height:0",
        "clip-path:inset(0);width:0", "-webkit-text-stroke:9px #fff", "outline:99px solid #000;"
        "outline-offset:-99px", "border-image:linear-gradient(#000,#000) 1 fill",
        "height:0;background:#000;color:#fff", "max-height:0;background:#fff;filter:invert(1)",
        "width:0;background:#000;color:#fff", "direction:rtl;margin-inline:-9999px 0",
        "color:#fff;background:linear-gradient(45,#000,#000)",
        "padding-top:9999px;height:10px;overflow:hidden",
        "display:flex;justify-content:flex-end;margin-right:-9999px",
        "color:-webkit-activelink;background:red", "position:relative;top:-200%",
        "overflow-x:hidden;overflow-y:visible;height:0", "container-type:size;overflow:hidden",
        "contain:inline-size paint;float:left", "overflow:hidden;height:calc-size(auto,0px)",
        "overflow:hidden;width:calc-size(auto,size*0)",
    ),
    **_pages(
        f"{_LOW}<img height=90 src=x:y>{{t}}", f"{_LOW}<img style=height:90px src=x:y>{{t}}",
        f"{_LOW}<svg height=90></svg>{{t}}", f"{_LOW}<iframe></iframe>{{t}}",
        f"{_LOW}<b style=display:inline-block;height:90px></b>{{t}}", f"{_LOW}{{t}}<img height=90>",
        f"{_LOW}<b style=font-size:90px>a</b>{{t}}", f"{_LOW}<pre>a&#10;b&#10;c&#10;{{t}}",
        f"{_NARROW}text text text {{t}}", f"{_NARROW}text text <i>text</i> {{t}}",
        "<div style=width:40px;overflow:hidden><nobr>text text text {t}",
        "<div style=width:40px;height:20px;overflow:hidden>text text text {t}",
        "<div style=width:40px;overflow:clip;text-wrap:nowrap>text text text {t}",
        "<div style='-webkit-line-clamp:1;display:-webkit-box;-webkit-box-orient:vertical;"
        "overflow:hidden'>a<br>{t}",
        "<div style='display:flex;overflow:hidden;width:100px'><p style='flex:0 0 100px'></p>"
        "<p style=flex:none>{t}",
        "<div style='display:grid;grid-template-columns:0 1fr'><p style=overflow:hidden>{t}",
        "<div style='display:grid;grid-auto-rows:0;overflow:hidden'><p>{t}",
        "<table style=table-layout:fixed;width:0><td style=overflow:hidden>{t}</table>",
        "<table style=table-layout:fixed;width:100px><td width=100><td "
        "style=overflow:hidden;padding:0>{t}</table>",
        "<table><col bgcolor=black><tr><td>{t}</table>",
        "<table><colgroup bgcolor=black><col></colgroup><tr><td>{t}</table>",
        "<table><col><col style=visibility:collapse><tr><td rowspan=2>a<td>b<tr><td>{t}</table>",
        "<table align=right style=margin-right:-9999px><td>{t}</table>",
        "<table><td><td valign=bottom style=height:9999px>{t}</table>",
        "<div style=height:9999px></div>{t}", "<body topmargin=9999>{t}",
        "<marquee width=0>{t}</marquee>", "<marquee height=0>{t}</marquee>",
        "<math><mtext mathcolor=white>{t}</mtext></math>", "<math mathsize=0><mtext>{t}</math>",
        "<math><mspace>{t}</mspace></math>", "<math><maction><mtext>a</mtext><mtext>{t}</math>",
        "<style>*{display:block}</style><template>{t}</template>",
        "<style>*{display:block}</style><noembed>{t}</noembed>",
        "<style>details::details-content{opacity:0}</style><details open><p>{t}</details>",
        "<style>div::first-line{color:#fff}</style><div><b>{t}</b></div>",
        "<select size=2><option>a<option>b<option>c<option>d<option>{t}</select>",
        "<input value={t} style=width:0;padding:0>", "<p style=word-spacing:-999px>a {t}",
        "<textarea rows=1>a&#10;b&#10;c&#10;{t}</textarea>",
        "<div style=perspective:99px;perspective-origin:-9999px><p "
        "style=transform:translateZ(50px)>{t}",
        "<div style=overflow:hidden><p style=transform:translateY(200%)>{t}</div>",
        "<div style=display:grid><p style=grid-area:1/1>{t}</p><p style=grid-area:1/1;"
        "background:#fff>text text text</p></div>",
        "<div style=display:grid><p style=grid-row:1;grid-column:1>{t}</p><div style=grid-row:1;"
        "grid-column:1;background:#fff></div></div>",
        "<span>{t}</span><span style=margin-left:-300px;background:#fff;position:relative;"
        "padding-right:300px>a</span>",
        "<p>{t}</p><div style=background:linear-gradient(#fff,#fff);position:fixed;inset:0></div>",
        "<p>{t}</p><div style='box-shadow:0 0 0 999px #fff;position:fixed;top:0;left:0;width:1px;"
        "height:1px'></div>",
        "<p>{t}</p><div style='box-shadow:inset 0 0 0 999px #fff;position:fixed;inset:0'></div>",
        "<p>{t}</p><div style='border:999px solid #fff;position:fixed;top:0;left:0'></div>",
        "<p>{t}</p><div style='box-shadow:0 0 0 90px #fff;position:relative'>a</div>",
        "<p>{t}</p><div style='outline:90px solid #fff'>a</div>",
        "<p>{t}</p><dialog open style='position:fixed;inset:0;max-width:none;width:100%;"
        "height:100%;border:0;max-height:none;margin:0'></dialog>",
        "<p>{t}</p><svg style=position:absolute;top:0;left:0 width=900 height=300><rect width=900 "
        "height=300 fill=white /></svg>",
        "<p>{t}</p><iframe style=position:absolute;top:0;left:0;background:#fff width=900 "
        "height=300></iframe>",
        "<p>{t}</p><input style=position:absolute;top:0;left:0;width:900px;height:300px>",
        "<div style=background:#fff;height:99px;display:flex><p style=z-index:-1>{t}</p></div>",
        "<style title=a>p{display:none}</style><style title=b>p{display:block!important}</style>"
        "<p>{t}", "<link rel=stylesheet href='da&#9;ta:text/css,p{display:none}'><p>{t}",
        "<p style=text-align-last:right;width:4000px>{t}", "<table width=9999><td align=right>{t}"
        "</table>", "<div style=width:9999px><p style=float:right>{t}</div>",
        "<div style=width:9999px;display:flex><p style=margin-left:auto>{t}</div>",
        "<p style='background:linear-gradient(90deg,#fff 50%,#000 50%);color:#fff'>{t}",
        "<p style='background:linear-gradient(#000,#000) 0 0/100% 2px no-repeat;color:#fff'>{t}",
        "<p style=background:#000;background-clip:border-area;color:#fff>{t}",
        "<div style=overflow:hidden><p style=position:relative;top:60px>{t}</div>",
    ),
    **_rules(
        a_written_body=f"body {_HIDES}",
        implied_html="html > body > .k{display:none}",
        a_layer_that_is_important=f"@layer l{{.k{{display:none!important}}}}{_SHOWS}",
        a_layer_counts_less=f"@layer l{{#q,.k.k.k{{display:block}}}}{_HIDES}",
        the_order_of_layers=f"@layer l,m;@layer m{{{_HIDES}}}@layer l{{.k.k{{display:block}}}}",
        revert_layer=f"@layer l{{{_HIDES}}}.k{{display:revert-layer}}",
        revert_to_what_browsers_do=".k{display:none}.k{color:revert;visibility:revert}",
        a_scope_that_is_elsewhere=f"{_HIDES}@scope (.other){{.k{{display:block}}}}",
        a_scope_with_a_limit=f"{_HIDES}@scope (body) to (.k){{.k{{display:block}}}}",
        a_scope_that_holds="@scope (body){.k{display:none}}",
        a_container_without_a_size=f"{_HIDES}@container (width>1px){{{_SHOWS}}}",
        a_support_that_nobody_has=f"{_HIDES}@supports (flying:pigs){{{_SHOWS}}}",
        a_support_of_a_selector=f"{_HIDES}@supports selector(:flying){{{_SHOWS}}}",
        a_support_that_is_there="@supports (display:flex) and (color:red){.k{display:none}}",
        an_invalid_medium=f"{_HIDES}@media screen or print{{{_SHOWS}}}",
        a_medium_with_an_unknown_feature=f"{_HIDES}@media (pigs:flying){{{_SHOWS}}}",
        no_medium_that_is_unknown=f"{_HIDES}@media not (pigs:flying){{{_SHOWS}}}",
        an_invalid_selector=f"{_HIDES}.k:flying,.k{{display:block}}",
        an_invalid_argument=f"{_HIDES}.k:nth-child(x){{display:block}}",
        a_pseudo_class_with_arguments_it_does_not_take=f"{_HIDES}.k:root(x){{display:block}}",
        media_in_media="@media all{@media screen{@media (min-width:1px){@media all{" + _HIDES
        + "}}}}",
        nested_rules="html{& body{& .k{&{display:none}}}}",
        a_nested_list="body,.z{.q,.k{display:none}}",
        a_long_list=f"{_LONG},.k{{display:none}}",
        declarations_behind_nested_rules=".k{display:block;b{color:red}display:none}",
        an_import_in_its_address="@import url(\"data:text/css,.k{display:none}\");",
        an_import_in_base64="@import 'data:text/css;base64,Lmt7ZGlzcGxheTpub25lfQ==';",
        a_comment_in_a_selector="body/**/ .k{display:none}",
        a_comment_between_classes=".k/**/:not(.q){display:none}",
        not_focused=".k:not(:focus){display:none}",
        read_only=".k:read-only{display:none}",
        from_left_to_right=":dir(ltr) > .k{display:none}",
        defined=".k:defined{display:none}",
        a_box_that_is_pulled_over_it=".k::after{content:'';display:block;height:90px;"
        "margin-top:-60px;background:#fff;position:relative}",
        an_outline_from_its_corner=".k{position:relative}.k::after{content:'';position:absolute;"
        "top:0;left:0;outline:200px solid #fff}",
        a_shadow_from_its_corner=".k{position:relative}.k::after{content:'';position:absolute;"
        "top:0;left:0;box-shadow:0 0 0 200px #fff}",
        a_middle_of_an_animation="@keyframes f{50%{opacity:0}}.k{animation:f 1s -.5s paused}",
        an_animation_that_moves="@keyframes f{to{translate:-9999px}}.k{animation:f 1ms forwards}",
        small_letters_of_a_font="@font-face{font-family:x;src:local('DejaVu Sans');size-adjust:1%}"
        ".k{font-family:x}",
        has_nothing=".k:not(:has(*)){display:none}",
        a_registered_property="@property --q{syntax:'*';inherits:false;initial-value:none}"
        ".k{display:var(--q)}",
        an_animation_that_stays="@keyframes f{to{opacity:0}}.k{animation:f 1ms forwards}",
        a_box_in_front=".k{position:relative}.k::after{content:'';position:absolute;inset:0;"
        "background:#fff}",
        the_first_line=".k::first-line{color:#fff}",
        a_comment_in_a_medium="@media screen/**/and/**/(color){.k{display:none}}",
        an_escape_in_a_medium="@media \\73 creen{.k{display:none}}",
        a_medium_for_old_browsers=f"{_HIDES}@media screen\\9{{{_SHOWS}}}",
        a_medium_in_two_directions=f"{_HIDES}@media (1px<width>5px){{{_SHOWS}}}",
        a_medium_without_a_unit=f"{_HIDES}@media (min-width:1){{{_SHOWS}}}",
        a_medium_of_another_browser=f"{_HIDES}@media (min--moz-device-pixel-ratio:0){{{_SHOWS}}}",
        a_prefixed_medium="@media (-webkit-transform-3d){.k{display:none}}",
        a_negation_and_more=f"{_HIDES}@media not (pigs) or (color){{{_SHOWS}}}",
        a_support_of_a_list=f"{_HIDES}@supports selector(p,q){{{_SHOWS}}}",
        a_support_of_a_prefix=f"{_HIDES}@supports (-webkit-hyphens:none){{{_SHOWS}}}",
        an_attribute_of_a_namespace=f"{_HIDES}.k[q|class]{{display:block}}",
        a_name_without_a_namespace=f"{_HIDES}|p{{display:block!important}}",
        a_case_that_counts=f"{_HIDES}.k[class=k s]{{display:block}}",
        any_with_an_error=f"{_HIDES}.k:-webkit-any(p,:flying){{display:block}}",
        not_a_bar=".k:not(:horizontal){display:none}",
        a_prefix_of_nothing=f"{_HIDES}.k:not(:-webkit-flying){{display:block}}",
        a_namespace="@namespace h url(http://www.w3.org/1999/xhtml);h|p{display:none}",
        a_scope_by_itself="@scope (.k){display:none}",
        a_scope_and_a_child="@scope (body){> .k{display:none}}",
        scopes_in_order="@scope (body){.k{display:none}}@scope (html){.k{display:block}}",
        a_registered_type="@property --q{syntax:'<number>';inherits:false;initial-value:0}"
        ".k{--q:none;opacity:var(--q)}",
        a_variable_that_is_undone=".k{--q:initial;display:var(--q,none)}",
        a_safe_area=".k{font-size:env(safe-area-inset-top,16px)}",
        an_animation_that_hides_for_good="@keyframes f{from,to{opacity:0}}.k{animation:f 9s "
        "infinite}",
        an_animation_that_waits="@keyframes f{from{opacity:0}}.k{animation:f 1s 99s both}",
        an_animation_that_pauses="@keyframes f{from{opacity:0}}.k{animation:f 99s paused}",
        an_animation_that_goes_back="@keyframes f{from{opacity:0}to{opacity:1}}"
        ".k{animation:f 1ms reverse forwards}",
        a_gradient_in_front=".k{position:relative}.k::after{content:'';position:absolute;inset:0;"
        "background:linear-gradient(#fff,#fff)}",
        a_border_in_front=".k{position:relative}.k::after{content:'';position:absolute;inset:0;"
        "border:99px solid #fff}",
        a_box_in_front_of_the_window="body::after{content:'';position:fixed;inset:0;"
        "background:#fff}",
        a_box_that_pushes=".k{height:20px;overflow:hidden}.k::before{content:'';display:block;"
        "padding-top:90px}",
        a_box_that_pulls=".k::before{content:'';margin-left:-9999px}",
        the_size_of_the_root="html{font-size:0}.k{font-size:1rem}",
        the_background_of_the_page="body{filter:invert(1);background:#fff}",
        a_prefix_that_nothing_has=".k{display:none;-webkit-display:block;-moz-opacity:1}",
        a_display_that_is_none_of_them=".k{display:none;display:table-footer}",
        a_number_for_a_length=".k{font-size:0;font-size:calc(12)}",
        an_area_for_a_length=".k{font-size:0;font-size:calc(12px*1px)}",
        a_font_with_two_sizes=".k{font-size:0;font:12px 12px serif}",
        numbers_and_shares=".k{color:#fff;color:rgb(0%,0,0)}",
        pixels_for_a_channel=".k{color:#fff;color:rgb(0px 0 0)}",
        numbers_for_a_lightness=".k{color:#fff;color:hsl(0,0,0)}",
        two_backgrounds=".k{color:#fff;background:#000 #000}",
        five_places=".k{color:#fff;background:#000 0 0 0 0}",
        a_gradient_without_a_color=".k{color:#fff;background:linear-gradient()}",
        a_background_that_is_elsewhere=".k{color:#fff;background:linear-gradient(#000,#000)"
        " no-repeat 9999px 0}",
        a_background_of_a_pixel=".k{color:#fff;background:linear-gradient(#000,#000)"
        " no-repeat;background-size:1px 1px}",
    ),
    "what follows pulls its box shut": "<div style=overflow:hidden>{t}<p style=margin-top:-99px>a"
    "</div>",
    "a float that what follows shuts": "<div style=float:left;overflow:hidden><b>{t}<p"
    " style=margin-top:-999px>a</div>",
    "pulled up by what is hidden": "<section style=opacity:0><p style=margin-top:-999px>a</section>"
    "{t}",
    "behind a block that is pulled up": "<div style=padding:1px><p>a</p><p"
    " style=margin-top:-999px>b</p>{t}</div>",
    "pulled up with the box that it begins": "<div>a</div><div><p style=margin-top:-999px>b</p>"
    "</div>{t}",
    "the third line of two": "<div style=height:40px;overflow:hidden>a<p>b<p>{t}",
    "below the box that is painted behind it": "<div style=height:20px;background:#036;color:#fff>"
    "a<p>b<p>{t}",
    "positioned where a moved line is": "<b style=margin-left:-9999px><i style=position:absolute>"
    "{t}",
    "a row of a table on a moved line": "<table style=display:inline;margin-left:-9999px><tr><td>"
    "{t}</table>",
    "a cell that is an item": "<table><tr style=display:flex><td style=margin-top:-9999px>{t}",
    "a body that has no box to paint": "<body style=display:contents;background:navy><p"
    " style=color:#fff>{t}",
    "a table at the start of a line that ends right": "<!doctype html><div"
    " style=margin-left:-9999px;text-align:right><table><td>{t}</table>",
    "behind what is moved on a line in the middle": "<center><b style=margin-left:-9999px>a</b>"
    "{t}</center>",
    "before what is moved on a line in the middle": "<center>{t}<b style=margin-left:-9999px>a</b>"
    "</center>",
    "before what is moved on a line that ends right": "<table><td align=right>{t}<b"
    " style=margin-left:-9999px>a</b></table>",
    "an option with a label": "<select><option label=x>{t}</select>",
    "a later row of a grid": "<div style='display:grid;grid-template-rows:auto 0;overflow:hidden'>"
    "<p>a<p>{t}",
    "an item that does not grow": "<div style=display:flex><p style='flex:0 0 0;overflow:hidden'>"
    "{t}",
    "an item in a box without height": "<div style=display:flex;flex-direction:column;height:0>"
    "<p style=overflow:hidden;min-height:0>{t}",
    "a root without a box": "<style>html{display:contents;content-visibility:hidden}</style>{t}",
    "a cell that floats": "<!doctype html><table><tr><td style='float:left;height:0;"
    "overflow:hidden'>{t}</table>",
    "a float that is kept from the right": "<p style=float:right;margin-right:9000px>{t}",
    "a field without height": "<textarea style='height:0;padding:0;border:0'>{t}</textarea>",
    "a cell in a row that is moved on its line": "<b style=margin-left:-9000px><i"
    " style=display:table-cell><p>{t}",
    "a cell without its content": "<table><td style=content-visibility:hidden>{t}",
    "a collapsed row around a visible cell": "<table><tr style=visibility:collapse><td"
    " style=visibility:visible>{t}",
    "behind what is moved on its line": "<b style=margin-left:-9000px>a</b>{t}",
    "a cell on a line that is moved": "<b style=margin-left:-9000px><i style=display:table-cell>"
    "{t}",
    "a float in a box without height": "<div style=background:#000><p style=float:left;color:#fff>"
    "{t}",
    "alone in a box without height": "<div style=background:#000><p"
    " style=position:absolute;color:#fff>{t}",
    "turned in space with what is around it": "<div style=transform-style:preserve-3d;"
    "transform:rotateY(180deg)><p style=backface-visibility:hidden>{t}",
    "nearer than the reader": "<div style=perspective:9px><p style=transform:translateZ(9px)>{t}",
    "a row of a grid that is closed": "<div style=display:grid;grid-template-rows:0fr><p"
    " style=margin:0;overflow:hidden>{t}",
    "the second child": "<style>p:nth-child(2){display:none}</style><i>a</i><p>{t}",
    "a sheet counts as a child": "<p>a</p><style>style + p{display:none}</style><p>{t}",
    "a linked sheet": "<link rel=stylesheet href='data:text/css,p{display:none}'><p>{t}",
    "a closed template": "<template>{t}</template>",
    "a template in a table": "<table><template><tr><td>{t}</template></table>",
    "an object with data": "<object data=x type=image/png>{t}</object>",
    "the second details of a name": "<details name=n open>a</details><details name=n open>{t}",
    "a collapsed column": "<table><colgroup><col><col style=visibility:collapse></colgroup><tr>"
    "<td>a<td>{t}</table>",
    "a hidden ancestor by a filter": "<body bgcolor=#000000><p"
    " style='color:#fff;filter:invert(1)'>{t}",
    "an inset shadow around": "<div style='box-shadow:inset 0 0 9px 99em #fff'><b"
    " style='color:#fff'>"
    "{t}</b></div>",
    "many attributes": "<p " + " ".join(f"q{n}=1" for n in range(300)) + " hidden>{t}",
    "deep": "<div>" * 700 + "<p style='visibility:hidden'>{t}",
    "a long value": f"<p style=\"transform:{'rotate(0deg) ' * 400}scale(0)\">{{t}}",
    "a long font": f"<p style=\"font:0px {','.join(f'f{n}' for n in range(600))}\">{{t}}",
    "variables through variables": "<p style='--v0:none;"
    + "".join(f"--v{n + 1}:var(--v{n});" for n in range(20))
    + "display:var(--v20)'>{t}",
    "a drawing without text": "<svg><g>{t}</g></svg>",
    "in a select": "<select><option>a<option>{t}</select>",
    "a child of a box that is closed": "<div style='height:0;overflow:hidden'><p>{t}",
    "a child of a box that is closed and holds it": "<div style='height:0;overflow:hidden;"
    "position:relative'><p style='position:absolute;top:0'>{t}",
    "a blend with what is behind": "<div style='background:#fff'>"
    "<p style='mix-blend-mode:screen'>{t}",
    "a blend that takes the lighter": "<body bgcolor=#ffffff><p style='mix-blend-mode:lighten'>{t}",
    "faded twice": "<div style='opacity:.05'><p style='filter:opacity(.05)'>{t}",
    "what is positioned in a cell that is filtered": "a<table><td style='filter:opacity(0)'><p"
    " style=position:absolute>{t}</table>",
    "pulled up by a box of which nothing is laid out": "<!doctype html><p"
    " style='content-visibility:hidden;margin-top:-9999px'></p>{t}",
    "on a background as narrow as the box around it": "<div style='max-width:0;color:#fff'><h2"
    " style=background:#000>{t}",
    "a box on a line that is painted": "<b style=background:#000>a <i"
    " style=display:inline-block>{t}",
    "a cell on a line that is painted": "<table><tr"
    " style=display:inline;background:#000;padding:10px><td>{t}",
    "a box on a line that is moved away": "<p style=text-indent:-9999px><b"
    " style=display:inline-block;text-indent:0>{t}",
    "in front of lines that a margin moves": "<center>{t} <b style=margin-left:-9999px><table><td>b"
    "</table><div>b</div>b</b>",
    "positioned in closed boxes that are positioned": "<style>*{overflow:auto;position:absolute}"
    "</style><body><table><tr><td>{t}",
    "a further line that is indented too": "<p style='text-indent:-9999px each-line'>a<br>{t}",
    "the first line of two that are not indented": "<p style=text-indent:-9999px>{t}<br>a",
    "positioned in a box with the least height": "<div style=background:#000;min-height:30px><b"
    " style=position:absolute>{t}",
    "a box of no height in one with a height": "<div style=background:#000;min-height:30px><p"
    " style=height:0>{t}",
    "below a box that is painted light": "<body style=background:#000;color:#fff><div"
    " style=background:#fff><div style='height:0;border-bottom:30px solid'>{t}",
    "on the background of the line, which a table inherits": "<b style=background:#000>a <table"
    " style=background-color:inherit><td>{t}",
    "in front of its own border": "<div style='height:0;border-bottom:30px solid'>{t}",
    "a float without height in a table without any": "<table bgcolor=black><td><table"
    " bgcolor=#ffffff><td style=float:left;max-height:0>{t}</table><tr><td>a",
    "a line that is pulled up as a whole": "<table><td style=margin-top:-9999px;"
    "display:inline-block>{t}",
    "a float that sticks out of a narrow cell": "<table><td style='margin-left:-9999px;"
    "min-width:100px;float:right'>{t}",
    "a float in a box that a margin moves away": "<div style=float:left>{t}</div><p"
    " style=margin-top:-9999px>a",
    "positioned in a box that a margin moves away": "<b style=position:absolute>{t}</b><p"
    " style=margin-top:-9999px>a",
    "behind a box on the line that is moved away": "<p style=display:inline-block;"
    "margin-left:-9999px></p>{t}",
    "a float at the right of a box without width": "<div style=width:0><p style=float:right;"
    "margin-right:20px>{t}",
    "letters above the window": "<body style=margin:0;transform:rotate(2deg)>{t}",
    "the alignment of an element on the line": "<div style=text-indent:-9999px><span"
    " style=text-align:right>{t}",
    "a cell as high as the one next to it": "<table><tr style=line-height:0><td bgcolor=black>{t}"
    "<td style=line-height:20px>a</table>",
    "a cell without lines in a table with a height": "<!doctype html><font style=line-height:0>"
    "<table bgcolor=black height=50><td>{t}",
    "text behind a block that is pulled up in a line": "<b>a<p style=margin-top:-9999px>b</p>{t}",
    "behind the line by a box on it that is positioned": "<em style=background:navy;"
    "position:absolute>54327 </em>{t}",
    "under a box that is pulled up over it": "<p>{t}</p><div style=background:#fff;"
    "margin-top:-99px;height:99px;position:relative></div>",
    "under a cell that is positioned as well": "<style>.b td{position:absolute}</style><table "
    "class=b><td>{t}<td bgcolor=#ffffff>56226</table>",
    "dark on a table that is pulled up behind it": "{t}<small><center style=margin-top:-9999px>a"
    "</center></small><table style=background:#000><td>text text</table>",
    "dark on a cell that a margin makes wide": "<table><td>{t}<td style=margin-left:-9999px;"
    "display:flex bgcolor=black>a</table>",
    "dark on an item of a flex box that a margin stretches": "{t}<div style=display:flex><section "
    "style=margin-top:-9999px;background:#000>text text text</section></div>",
    "dark on a table in a float without width": "{t}<div style=float:left;width:0><table "
    "bgcolor=black><td>25664</table></div>",
    "dark on a table behind a float without height": "<table><tr style=height:0;float:right>"
    "<td>{t}</table><table><td bgcolor=black>46265 46265</table>",
    "dark on what sticks out of a box without height": "<style>.c{max-height:0}</style><blockquote "
    "class=c>a <table bgcolor=black><td>text text</table></blockquote><blockquote>{t}</blockquote>",
    "under a positioned row": "<table><td>{t}</table><table><tr style=top:2px;left:0;"
    "position:absolute><td bgcolor=black style=padding:9px>text text</table>",
    "above the last line of a box on the line that is pulled up": "<!doctype html><body "
    "style=margin-top:-9999px;display:inline-block>{t}<div>a",
    "white beside the background of a cell without width": "<!doctype html><font color=white>"
    "<table><td bgcolor=#003366><h2 style=width:0>{t}</table>",
    "white beside the background of a row without width": "<table><tr style=color:#fff;"
    "background:#000><td style=max-width:0;padding:0>{t}</table>",
    "cut off in a cell without width": "<table><td style=overflow:auto;padding:0><section "
    "style=width:0>{t}</table>",
    "cut off in a float without width": "<div style=float:left;overflow:hidden><div "
    "style=width:0>{t}",
    "cut off by tables that are no wider than they may be": "<style>*{max-width:0}</style><table>"
    "<td style=overflow:hidden><table><td>{t}</table>",
    "low lines in a cell that cuts them off": "<table style=line-height:0><td "
    "style=overflow:hidden bgcolor=black>{t}</table>",
    "low lines in a table that is moved away": "<!doctype html><table style=line-height:0><td>"
    "<table style=transform:translateX(-9999px)><td bgcolor=black>{t}</table>",
    "what sticks out of a box without height in one that cuts it off": "<blockquote "
    "style=overflow:auto><div style=max-height:0>{t}",
    "an item of a flex box is a line of its own": "<div style=text-indent:-9999px><b "
    "style=display:flex><a></a>{t}",
    "fixed at the right edge and moved by its width": "<div style=position:fixed;right:0;"
    "transform:translateX(100%)>{t}",
    "a page that contains its size": "<style>body{contain:size;overflow:hidden}</style><p>{t}",
    "under a box that fills the one around it": "<div style=position:relative><p>{t}</p><div "
    "style=position:absolute;top:0;left:0;width:100%;height:100%;background:#fff></div></div>",
    "under a box in front of it that fills the one around both": "<div style=position:relative>"
    "<div style=position:absolute;inset:0;background:#fff></div><p>{t}</div>",
    "under a box that fills the window": "<p>{t}</p><div style=position:fixed;inset:0;"
    "background:#fff></div>",
    "below the last line of a box that cuts off": "<h2 style=overflow:auto>a<div "
    "style=height:0>{t}",
    "far below the last line of a box on the line": "a <span style=display:inline-block>{t}"
    "<section style=margin-top:-9999px>b",
    "in front of a box that pulls a centered line away": "<center>{t} <i "
    "style=display:inline-block;margin-left:-9999px></i>",
    "low lines with margins in a cell": "<!doctype html><div style=line-height:0><table "
    "bgcolor=black><td><blockquote>{t}</table>",
    "white beside a table with a hidden cell": "<table bgcolor=#003366><td hidden><tr "
    "style=color:#fff><td style=position:absolute>{t}</table>",
    "letters without size in a box without width": "<p style=font-size:0;width:0>{t} a",
    "behind an empty float and a table that is pulled away": "<blockquote style=float:right>"
    "</blockquote><table style=margin-top:-9999px></table>{t}",
    "a cell in a row that is implied and collapsed": "<div style=visibility:collapse><b "
    "style=display:table-cell;visibility:visible>{t}",
    "faded in an element on the line that is painted": "<div style=background:#000><b "
    "style=background:navy><i style=opacity:.5><p>{t}",
    "on the background of a box that does not float": "<style>b{float:left;display:contents}"
    "</style><div style=background:#000><b>{t}",
    "dark on a cell that is as wide as the one above it": "<table><td><h2></h2>23372 <p "
    "style=height:0;margin:0>{t}</p><tr><td bgcolor=black style=padding:9px>a</table>",
    "a box on the line of a row that is pulled up": "<!doctype html><table><td "
    "style=display:inline-block;margin-top:-9999px>{t}",
    "positioned with a margin, so that it does not float": "<em style=float:right;"
    "margin-left:-9999px;position:absolute>{t}",
    "under a table of which the text is not seen": "<table style=position:absolute "
    "bgcolor=#ffffff><td style=transform:scale(0)>27743 27</table>{t}",
    "low lines in a cell without a padding": "<table><td"
    " style=line-height:0;padding:0;color:#fff;background:navy>{t}</table>",
    "low lines in cells without a padding": "<table cellpadding=0><td"
    " style=line-height:0;color:#fff bgcolor=black>{t}</table>",
    "low lines in an element on a line": "<!doctype html><table bgcolor=black><td><b"
    " style=line-height:0>{t}</table>",
    "behind text on a line, by a box that is placed over it": "{t}<div"
    " style=position:absolute;top:0;left:0;width:200px;height:99px;background:#fff></div>",
    "a float that sticks out of a cell with its last word": "<table><td"
    " style=float:right;margin-left:-9999px>{t} text</table>",
    "a line in a table, which inherits no alignment": "<div style=text-align:right><table"
    " width=100%><td style=text-indent:-9999px>{t}</table>",
    "a float at the right of a box without width, with a longer line": "<center"
    " style=max-width:0><span style=float:right>{t} <table><td>text <td>text</table>",
}  # fmt: skip

SHOWN: Final = {
    **_styles(
        "color:transparent;background:linear-gradient(red,navy);background-clip:text",
        "color:transparent;background:red;-webkit-background-clip:text",
        "color:transparent;text-shadow:0 0 1px black", "color:#fff;text-shadow:0 1px 3px #000",
        "color:#fff;-webkit-text-stroke:1px #000", "color:#fff;filter:invert(100%)",
        "max-height:0", "height:0", "max-height:0;min-height:40px;overflow:hidden",
        "max-width:0;min-width:300px;overflow:hidden", "line-height:0", "width:0",
        "background:#000;color:#fff", "background:#fff;background:#000;color:#eee",
        "transform:rotate(360deg)", "transform:rotateY(30deg)", "transform:scale(-1) scale(-1)",
        "backface-visibility:hidden", "clip:rect(0,0,0,0)", "clip-path:inset(0)",
        "mask:none", "filter:none", "filter:grayscale(1)", "opacity:.9", "contain:content",
        "font-size:max(0px,14px)", "font-size:calc(1px*sin(90deg)*16)", "position:fixed;top:0",
        "left:-9999px", "content:'x'", "text-indent:3em", "letter-spacing:-1px", "zoom:1",
        "mix-blend-mode:multiply", "mix-blend-mode:screen", "overflow:hidden",
        "padding-top:30px;height:20px;overflow:hidden",
        "display:none;display:block", "display:none;display:inherit", "color:wrong(1)",
        "box-shadow:inset 0 0 0 1px #000", "box-shadow:0 0 0 99em #eee", "visibility:visible",
        "text-align:right;text-indent:-9999px", "-webkit-text-stroke:1px #fff",
        "outline-offset:-2px;outline:1px solid", "border-top:20px solid",
        "display:grid;grid-template-rows:auto",
        "aspect-ratio:2000", "transform:perspective(900px) translateZ(9px)",
        "direction:rtl;text-align:right", "content-visibility:auto", "filter:sepia(1)",
        "white-space:nowrap;overflow:hidden", "width:60px;overflow:hidden", "word-spacing:-1px",
        "table-layout:fixed;overflow:hidden", "height:45px;overflow:hidden;width:60px",
        "container-type:inline-size;overflow:hidden", "text-wrap:nowrap;width:9px",
    ),
    **_pages(
        f"{_NARROW}{{t}} text text", f"{_LOW}{{t}}<br>a", f"{_LOW}<img height=15 src=x:y> {{t}}",
        "<div style='overflow:hidden;width:90px'>text text text text text text text {t}",
        "<div style='display:grid;grid-template-columns:1fr 2fr'><p style=overflow:hidden>{t}",
        "<table style=table-layout:fixed><td>{t}</table>",
        "<table><col width=9><tr><td>{t}</table>",
        "<table align=left><td>a</table><table align=left><td>{t}</table>",
        "<select size=2><option>a<option>{t}</select>", "<input value={t}>",
        "<style>*{display:block}</style><p>{t}", "<textarea>{t}</textarea>",
        "<style>div::first-line{color:navy}</style><div><b>{t}</b></div>",
        "<div style=overflow:hidden><p style=position:relative;top:9px>{t}</p><p>a</div>",
        "<div style=height:900px>a</div>{t}",
        "<p style='background:linear-gradient(#000,#036);color:#fff'>{t}",
        "<p style=background:linear-gradient(#eee,#fff)>{t}", "<table width=1200><td>{t}</table>",
        "<div style=display:grid><p style=grid-row:1>{t}</p><p style=grid-row:2>a</p></div>",
        "<p>{t}</p><svg style=position:absolute;top:90px;left:0></svg>",
        "<p>{t}</p><iframe></iframe>", "<style title=a>p{color:red}</style><p>{t}",
        "<p>{t}</p><p style='border:5px solid;outline:3px solid'>a</p>",
    ),
    **_rules(
        a_scope_that_is_elsewhere="@scope (.other){.k{display:none}}",
        a_print_medium="@media print{.k{display:none}}",
        an_invalid_medium="@media screen or print{.k{display:none}}",
        an_invalid_selector=".k,:flying{display:none}",
        an_older_layer="@layer l{.k{display:none}}.k{display:block}",
        another_child="p:nth-child(7){display:none}",
        a_sheet_is_no_paragraph="p + .k{display:none}",
        a_box_behind=".k{position:relative;z-index:0;color:#fff}.k::before{content:'';"
        "position:absolute;inset:0;background:#000;z-index:-1}",
        an_animation_that_ends="@keyframes f{from{opacity:0}}.k{animation:f 1ms both}",
        hovered=".k:hover{display:none}",
        an_animation_that_shows="@keyframes f{from{opacity:0}to{opacity:1}}.k{animation:f 1ms}",
        another_gradient_in_front=".k{position:relative}.k::after{content:'';position:absolute;"
        "inset:0;background:rgba(0,0,0,.1)}",
        the_size_of_the_root="html{font-size:62.5%}.k{font-size:1.4rem}",
        a_text_in_front="p::before{content:'x '}",
        a_field="p:disabled,p:required{display:none}",
        a_medium_with_a_range="@media (width<9px){.k{display:none}}",
        a_fetched_sheet="@import url(x.css);",
        a_semicolon_too_many="x;.k{display:none}",
    ),
    "behind lines that a block within pulls up": "a <font><div style=margin-top:-999px>b</div>"
    "</font><p>{t}",
    "behind a box that is pulled up within": "<div style=padding:1px><p>a</p><p"
    " style=margin-top:-999px>b</p></div>{t}",
    "a box on the line that is pulled up": "a <span style=display:inline-block;margin-top:-99px>"
    "{t}</span>",
    "the second line of what is moved": "<b style=margin-left:-9999px>a<p>b</p>{t}</b>",
    "behind a box that is pulled shut": "<div style=overflow:hidden>a<p"
    " style=margin-top:-99px></p></div><p>{t}",
    "the second line of two": "<div style=height:40px;overflow:hidden>a<br>{t}</div>",
    "dark below the box that is painted behind it": "<div style=height:20px;background:#036>"
    "<p>a<p>{t}",
    "a line with a height in a box without one": "<div style=background:#036;line-height:0><p"
    " style=line-height:20px;color:#fff>{t}",
    "a line in a cell without one": "<table><td style=background:#036;line-height:0><p"
    " style=line-height:20px;color:#fff>{t}</table>",
    "a float to the right": "<p style=float:right;margin-left:-9000px>{t}",
    "a float in a box that holds it": "<div style=background:#000;overflow:hidden><p"
    " style=float:left;color:#fff>{t}",
    "a float in a box without height": "<div style=background:#000><p style=float:left>{t}",
    "a box that is not there": "<div style=display:contents;filter:opacity(0)>{t}</div>",
    "fixed in a closed box": "<div style='height:0;overflow:hidden'><b"
    " style='position:fixed;top:9px'>"
    "{t}",
    "absolute in a closed box": "<div style='height:0;overflow:hidden'><p style='position:absolute;"
    "top:9px'>{t}",
    "a shadow root": "<div><template shadowrootmode=open>{t}</template>light</div>",
    "what stands in for an object": "<object>{t}</object>",
    "behind a paragraph that a table does not end": "<!doctype html><p hidden>a<table><tr><td>{t}",
    "a column that is not collapsed": "<table><col"
    " style=visibility:collapse><tr><td>a<td>{t}</table>",
    "visible in hidden": "<div style='visibility:hidden'><b style='visibility:visible'>{t}",
    "closed inline": "<span style='height:0;overflow:hidden'>{t}</span>",
    "a cell of no height": "<table><tr><td style='height:0;overflow:hidden'>{t}</table>",
    "text of a drawing": "<p>{t}<svg width=5 height=5></svg>",
    "a positioned row without height": "<table bgcolor=black><tr"
    " style=position:absolute;max-height:0><td>{t}</table>",
    "a float in a painted line": "<b style=background:#000>a <i style=float:left>{t}",
    "a box on a line that is moved and ends at the right": "<p style=text-indent:-9999px;"
    "text-align:right><b style=display:inline-block;text-indent:0>{t}",
    "the line behind a table": "<!doctype html><div style=text-indent:-9999px><table><td>a</table>"
    "{t}",
    "the line behind a break": "<p style=text-indent:-9999px>a<br>{t}",
    "the line behind an empty paragraph": "<!doctype html><div style=text-indent:-9999px><p></p>"
    "{t}",
    "in front of an element that is centered itself": "{t} <b style=margin-left:-9999px;"
    "text-align:center>b</b>",
    "below a box with the least height": "<div style=height:0;min-height:30px;background:#000><p>a"
    "<p>{t}",
    "in a box that is wider than the one around it": "<div style=width:0;color:#fff><div"
    " style=min-width:100px;background:#000>{t}",
    "positioned in a row of empty cells": "<table bgcolor=black><td><b style=position:absolute>{t}"
    "</b><td></table>",
    "in a row without height": "<table bgcolor=black><tr style=display:block;max-height:0><td>{t}"
    "</table>",
    "in a box without height": "<div style=background:#000><div style=height:0>{t}",
    "white in a box without height that is painted": "<div style=background:#000;color:#fff><div"
    " style=height:0;padding-bottom:30px>{t}",
    "on the background of the box around it": "<div style=background:#000;color:#fff><p"
    " style=background-color:inherit>{t}",
    "on no background, which is inherited": "<div style=background:#fff><p><b"
    " style='background-color:inherit;color:#000'>{t}",
    "a float at the right of what begins far to the left": "<body style=margin-left:-9999px><a"
    " style=float:right>{t}",
    "in a body that gives its overflow to the window": "<body style=width:0;overflow:auto>{t}",
    "a float that is wider than the box around it": "<div style=width:0><p style=float:left;"
    "overflow:auto>{t}",
    "white on the background of a page without height": "<body style=height:0;background:navy>"
    "<font color=white>{t}",
    "lines without height above a margin": "<div style=overflow:hidden;line-height:0>{t}<p></p>"
    "</div>",
    "letters that stick out of a row": "<table><tr style=line-height:0><td bgcolor=black>{t}"
    "</table>",
    "letters that stick out of a table": "<table bgcolor=black style=line-height:0><td>{t}</table>",
    "text behind blocks that are pulled up in a line": "<b><center>a</center><table"
    " style=margin-top:-9999px></table>{t}",
    "in a row that margins do not move": "<table style=text-align:right><tr"
    " style=margin-left:-9999px><td style=width:100%>{t}</table>",
    "in the middle of a box that is turned": "<center style=transform:rotate(2deg)><table><tr"
    " style=transform:rotate(2deg)><td>{t}</table>",
    "in narrow boxes that are turned": "<style>*{transform:rotate(2deg);width:200px}</style>{t}",
    "a box on a line, which a margin does not pull up": "<!doctype html><font"
    " style=margin-top:-9999px;display:inline-block>{t} a",
    "cut off in a cell that is as wide as its words": "<style>center{overflow:auto}</style><table>"
    "<td style=width:0><center>{t}</table>",
    "below a row that is a block of a cell": "<table><tr style=margin-top:-9999px;display:block>"
    "</tr><td>{t}</table>",
    "a float in a row with a width": "<table><tr style=max-width:0><td style=display:contents><em"
    " style=float:right>{t}</table>",
    "on the line behind a block, which no margin moves": "<center><b style=margin-left:-9999px>"
    "<div>a</div>{t}",
    "positioned above an empty heading": "<table bgcolor=black><td><b style=position:absolute>{t}"
    "</b><h2></h2></table>",
    "in a row with a padding, which rows have not": "<table bgcolor=black style=line-height:0><tr"
    " style=padding:10px><td>{t}</table>",
    "a narrow cell below a wide one": "<table><td style=background:#000;color:#fff>text text<tr>"
    "<td style=background:#000;max-width:0;color:#fff>{t}</table>",
    "a narrow cell of the color of its text": "<table><td bgcolor=black style=max-width:0>{t}"
    "</table>",
    "cut off in a cell that another makes wide": "<table><td style=overflow:hidden><div "
    "style=max-width:0>{t}</div><tr><td>text text</table>",
    "behind a box on the line that is positioned": "a <em style=background:navy;"
    "position:absolute>54 </em>{t}",
    "positioned over a box that is positioned": "<b style=position:absolute;background:#fff>54327"
    "</b><p style=position:relative;z-index:1>{t}",
    "over a box that is pulled up behind it": "{t}<div style=margin-top:-20px;background:#ccc>a"
    "</div>",
    "under a box that shines through": "<p>{t}</p><div style=background:#ccc;opacity:.5;"
    "margin-top:-99px;height:99px></div>",
    "the last line of a box on the line that is pulled up": "<!doctype html>a<div "
    "style=display:inline-block;margin-top:-9999px>b<br>{t}</div>",
    "a float next to a painted one": "<p style=float:left;background:#000>text text</p><p "
    "style=float:left>{t}",
    "under a box that covers the margin above it alone": "<p>{t}</p><div style=background:#fff;"
    "margin-top:-30px;height:30px;position:relative></div>",
    "over a box that fills the one around it": "<div style=position:relative><div "
    "style=position:absolute;inset:0;background:#ccc></div><p style=position:relative>{t}</div>",
    "behind a box that fills the one around it": "<div style=position:relative>a<div "
    "style=position:absolute;inset:0;background:#fff></div></div><p>{t}",
    "in a box that fills the window": "<p>a</p><div style=position:fixed;inset:0;"
    "background:#fff>{t}</div>",
    "the second line of a box that cuts off": "<div style=overflow:auto>a<br>b<p>{t}</div>",
    "in front of a box on the line with another that is pulled up": ""
    "<style>*{display:inline-block}</style>{t} <table><td style=margin-top:-9999px>a",
    "beside a float in a cell above": "<table><td><table style=float:left bgcolor=black><td>74723"
    "</table><tr><td>{t}</table>",
    "in front of a table that goes below a float": "<!doctype html><p style=float:left>{t}</p>"
    "<table bgcolor=black><td>a</table>",
    "white on a box that lies behind it": "<i style=width:0;float:left;color:#fff>{t}</i><table>"
    "<td bgcolor=black>text text</table>",
    "next to a cell that is moved away": "<table><td>{t}<td style=transform:translateX(-9999px) "
    "bgcolor=black>a</table>",
    "in front of the padding of a cell with low lines": "<table><td"
    " style=line-height:0;color:#fff;background:navy>{t}</table>",
    "low lines in a painted table": "<table bgcolor=black><td style=line-height:0>{t}</table>",
    "low lines of a block in a painted cell": "<table><td bgcolor=black><p"
    " style=line-height:0;margin:0>{t}</table>",
    "visible on the background of a hidden cell": "<table><td style=visibility:hidden"
    " bgcolor=black><b style=visibility:visible>{t}</table>",
    "in front of a box on the line in which a margin pulls": "<style>*{display:inline-block}"
    "</style>{t} <center><table><td style=margin-left:-9999px></table>",
    "at the right of its line, where no indent moves it": "<table><td>a <center"
    " style=text-align:right;text-indent:-9999px>{t}</table>",
    "a float that sticks out of a cell": "<table><td>a<td"
    " style=float:right;margin-left:-9999px>{t}</table>",
    "a float at the right of a box without width": "<center style=width:0><p style=float:right>{t}",
    "a cell behind one on the line that is moved away": "<table><td"
    " style=display:inline;margin-left:-9999px><td>{t}</table>",
    "in an implied table on a painted line": "<small style=background:navy><div"
    " style=display:table-cell;color:#fff>{t}",
    "cut off at the width of a table, which is that of its words": "<body"
    " style=max-width:0><table bgcolor=black><td><section"
    " style=overflow:hidden;color:#fff>{t}</table>",
    "letters larger than those of the painted line": "<strong style=background:#000>a <h2"
    " style=display:inline>{t}",
    "next to a row that is moved away": "<body style=display:flex><div"
    " style=background:#000;color:#fff>{t}</div><table><tr"
    " style=transform:translateX(-9999px)><td bgcolor=#ffffff>text</table>",
    "dark beside a narrow cell above an empty one": "<table><td style=max-width:0"
    " bgcolor=black>{t}<tr><td><b></b></table>",
    "below a painted table that a margin makes low": "<table bgcolor=black><td>{t} <div"
    " style=margin-top:-9999px></table>",
    "positioned beside the last cell of a painted table": "<!doctype html><table"
    " bgcolor=black><td><blockquote><center style=position:absolute>text text {t}</table>",
    "above a box that is positioned below its line": "{t} <div style=position:absolute><table><td"
    " bgcolor=black>52736</table></div>",
    "a float without width at the right of a box without any": "<div style=width:0><p"
    " style=float:right;width:0>{t}",
    "a float at the right of a narrow box that is at the right itself": "<style>*{float:right}"
    "</style><h2 style=max-width:0><table><td>{t}</table>",
    "light grey": "<p style=color:#e6e6e6>{t}",
    "in the padding of a box without width": "<div style=max-width:0;padding:10px;"
    "overflow:auto>{t}",
    "in the padding of a cell without width": "<table><td style=max-width:0;padding:10px;"
    "overflow:auto>{t}</table>",
    "dark beside a cell without width that is wider than its column": "<table><td style=max-width:0"
    " bgcolor=black>{t}<tr><td>a</table>",
    "in front of words that a margin moves far away": "{t} <b style=background:navy;"
    "margin-left:-9999px>73664",
}  # fmt: skip
