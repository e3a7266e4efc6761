"""Odd headers and bodies, and what is told of them: in all of it as Dovecot tells it.

tests/interop asks a real one about the same.
"""

from __future__ import annotations

# ruff: noqa: E501 - a line of the wire is a line here

Cases = dict[str, tuple[bytes, bytes]]
"""What a case is about: the octets, and what stands in the answer."""

CONTENT_TYPES: Cases = {
    "a plain text": (
        b"text/plain",
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1)',
    ),
    "case is kept": (
        b'TEXT/Html; Charset="x y"',
        b'("TEXT" "Html" ("Charset" "x y") NIL NIL "7bit" 7 1)',
    ),
    "no subtype": (
        b"text",
        b'("text" "" ("charset" "us-ascii") NIL NIL "7bit" 7 1)',
    ),
    "no subtype but parameters": (
        b"text; charset=x",
        b'("" "" NIL NIL NIL "7bit" 7)',
    ),
    "an empty subtype": (
        b"text/",
        b'("" "" NIL NIL NIL "7bit" 7)',
    ),
    "an empty type": (
        b"/plain",
        b'("" "" NIL NIL NIL "7bit" 7)',
    ),
    "nothing at all": (
        b"",
        b'("" "" NIL NIL NIL "7bit" 7)',
    ),
    "no semicolon": (
        b"text/plain charset=x",
        b'("" "" NIL NIL NIL "7bit" 7)',
    ),
    "a parameter without a value": (
        b"text/plain; charset",
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1)',
    ),
    "an empty value": (
        b"text/plain; charset=",
        b'("text" "plain" ("charset" "") NIL NIL "7bit" 7 1)',
    ),
    "a second semicolon hides the next": (
        b"text/plain;; name=a",
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1)',
    ),
    "no name": (
        b"text/plain; =x; name=y",
        b'("text" "plain" ("" "x" "name" "y" "charset" "us-ascii") NIL NIL "7bit" 7 1)',
    ),
    "a quote that does not end": (
        b'text/plain; charset="a',
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1)',
    ),
    "a value that breaks off": (
        b"text/plain; a=b/c; d=e",
        b'("text" "plain" ("a" "b" "d" "e" "charset" "us-ascii") NIL NIL "7bit" 7 1)',
    ),
    "an encoded word left bare": (
        b"a/b; name==?utf-8?q?a_b?= c; d=e",
        b'("a" "b" ("name" "=?utf-8?q?a_b?=" "d" "e") NIL NIL "7bit" 7)',
    ),
    "a comment": (
        b"text/plain (c); charset (d) = x",
        b'("text" "plain" ("charset" "x") NIL NIL "7bit" 7 1)',
    ),
    "parts are joined": (
        b'a/b; name*1="two ";\r\n name*0=one; x=y',
        b'("a" "b" ("x" "y" "name" "onetwo ") NIL NIL "7bit" 7)',
    ),
    "encoded parts are joined": (
        b"a/b; n*0*=utf-8''a%20; n*1=\"b %\"; n*2*=%21",
        b'("a" "b" ("n*" "utf-8\'\'a%20b %25%21") NIL NIL "7bit" 7)',
    ),
    "a part is missing": (
        b"a/b; n*0=a; n*2=c; k=v",
        b'("a" "b" ("k" "v" "n*0" "a" "n*2" "c") NIL NIL "7bit" 7)',
    ),
    "starred ones come last, by name": (
        b"a/b; z*=u''q; c=d; y*=u''p",
        b'("a" "b" ("c" "d" "y*" "u\'\'p" "z*" "u\'\'q") NIL NIL "7bit" 7)',
    ),
    "an empty multipart": (
        b"multipart/mixed; boundary=x",
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")',
    ),
    "a multipart without a boundary": (
        b"multipart/mixed",
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")',
    ),
    "an application": (
        b"application/pdf",
        b'("application" "pdf" NIL NIL NIL "7bit" 7)',
    ),
    "a message": (
        b"message/delivery-status",
        b'("message" "delivery-status" NIL NIL NIL "7bit" 7)',
    ),
    "a quoted pair": (
        b'image/png; name="a\\"b.png"',
        b'("image" "png" ("name" "a\\"b.png") NIL NIL "7bit" 7)',
    ),
}
FIELDS: Cases = {
    "an encoding": (
        b"Content-Transfer-Encoding: BASE64",
        b'("image" "png" NIL NIL NIL "BASE64" 7 NIL NIL NIL NIL)',
    ),
    "an encoding of two words": (
        b"Content-Transfer-Encoding: a b",
        b'("image" "png" NIL NIL NIL "7bit" 7 NIL NIL NIL NIL)',
    ),
    "an encoding with a comment": (
        b"Content-Transfer-Encoding: 8bit (x)",
        b'("image" "png" NIL NIL NIL "8bit" 7 NIL NIL NIL NIL)',
    ),
    "an id": (
        b"Content-ID: <x y>",
        b'("image" "png" NIL "<x y>" NIL "7bit" 7 NIL NIL NIL NIL)',
    ),
    "a folded description": (
        b"Content-Description: a  b\r\n c",
        b'("image" "png" NIL NIL "a  b c" "7bit" 7 NIL NIL NIL NIL)',
    ),
    "a disposition": (
        b'Content-Disposition: attachment; filename="x y"',
        b'("image" "png" NIL NIL NIL "7bit" 7 NIL ("attachment" ("filename" "x y")) NIL NIL)',
    ),
    "an empty disposition": (
        b"Content-Disposition:",
        b'("image" "png" NIL NIL NIL "7bit" 7 NIL ("" NIL) NIL NIL)',
    ),
    "languages": (
        b"Content-Language: en, (x) de",
        b'("image" "png" NIL NIL NIL "7bit" 7 NIL NIL ("en" "de") NIL)',
    ),
    "an empty list of languages": (
        b"Content-Language: ,en",
        b'("image" "png" NIL NIL NIL "7bit" 7 NIL NIL NIL NIL)',
    ),
    "a location": (
        b"Content-Location: http://x y",
        b'("image" "png" NIL NIL NIL "7bit" 7 NIL NIL NIL "http://x y")',
    ),
    "a digest": (
        b"Content-MD5: abc=",
        b'("image" "png" NIL NIL NIL "7bit" 7 "abc=" NIL NIL NIL)',
    ),
    "the first type counts": (
        b"Content-Type: a/b\r\nContent-Type: c/d",
        b'("image" "png" NIL NIL NIL "7bit" 7 NIL NIL NIL NIL)',
    ),
    "the last disposition counts": (
        b"Content-Disposition: a\r\nContent-Disposition: b",
        b'("image" "png" NIL NIL NIL "7bit" 7 NIL ("b" NIL) NIL NIL)',
    ),
}
TREES: Cases = {
    "two parts, a preamble and an epilogue": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\npre\r\n--x\r\n\r\none\r\n--x\r\nContent-Type: text/html\r\n\r\ntwo\r\n--x--\r\nepi\r\n',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0)("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 3 0) "mixed")',
    ),
    "no line end at the close": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n\r\none\r\n--x--',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0) "mixed")',
    ),
    "no close": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n\r\none\r\n',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 1) "mixed")',
    ),
    "parts without anything": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n--x\r\n--x--\r\n',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")',
    ),
    "nothing but a close": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x--\r\n',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")',
    ),
    "no part": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\nno parts\r\n',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")',
    ),
    "a header that the boundary breaks off": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: text/html\r\n--x--\r\n',
        b'(("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")',
    ),
    "inside a multipart that closes": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\na\r\n--y\r\n\r\nb\r\n--y--\r\n--x\r\n\r\nc\r\n--x--\r\n',
        b'((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "alternative")("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "mixed")',
    ),
    "inside a multipart that does not": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n\r\na\r\n--x\r\n\r\nc\r\n--x--\r\n',
        b'((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "alternative")("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "mixed")',
    ),
    "a longer boundary inside": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=xy\r\n\r\n--xy\r\n\r\na\r\n--xy--\r\n\r\n--x\r\n\r\nc\r\n--x--\r\n',
        b'((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "alternative")("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "mixed")',
    ),
    "the same boundary inside": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n\r\na\r\n--x--\r\n\r\n--x\r\n\r\nc\r\n--x--\r\n',
        b'((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "alternative")("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "mixed")',
    ),
    "blanks behind the boundary": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x \r\n\r\none\r\n--x\t\r\n\r\ntwo\r\n--x-- \r\n',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0) "mixed")',
    ),
    "a blank before it": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n --x\r\n\r\none\r\n--x\r\n\r\ntwo\r\n',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 1) "mixed")',
    ),
    "an enclosed message": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: a@b\r\n\r\nbody\r\n--x--\r\n',
        b'(("message" "rfc822" NIL NIL NIL "7bit" 30 (NIL "in" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0) 3) "mixed")',
    ),
    "an enclosed message without a line": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n--x--\r\n',
        b'(("message" "rfc822" NIL NIL NIL "7bit" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) 0) "mixed")',
    ),
    "an enclosed multipart": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\na\r\n--y--\r\n\r\n--x\r\n\r\nc\r\n--x--\r\n',
        b'(("message" "rfc822" NIL NIL NIL "7bit" 62 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "mixed") 6)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0) "mixed")',
    ),
    "a digest": (
        b'Content-Type: multipart/digest; boundary="x"\r\n\r\n--x\r\n\r\nSubject: dig\r\nFrom: a@b\r\n\r\nbody\r\n--x\r\nContent-Type: text/plain\r\n\r\nplain\r\n--x--\r\n',
        b'(("message" "rfc822" NIL NIL NIL "7bit" 31 (NIL "dig" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0) 3)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0) "digest")',
    ),
    "behind the close": (
        b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n\r\none\r\n--x--\r\n--x\r\n\r\nafter\r\n--x--\r\n',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0) "mixed")',
    ),
    "an empty boundary": (
        b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\none\r\n----\r\n',
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0) "mixed")',
    ),
    "a bare message": (
        b"just text\r\n",
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)',
    ),
    "nothing": (
        b"",
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)',
    ),
    "no header": (
        b"\r\nbody",
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0)',
    ),
    "a message in a message": (
        b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody",
        b'("message" "rfc822" NIL NIL NIL "7bit" 18 (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0) 2)',
    ),
}
