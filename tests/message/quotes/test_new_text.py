"""What is new in a reply: the shapes that mail programs give it, and what only looks like one."""

from __future__ import annotations

import pytest

from nornmail.message.quotes.new_text import new_text
from tests.message.quotes.languages import LANGUAGES, Language
from tests.message.quotes.replies import replies
from tests.support.table import table

languages = pytest.mark.parametrize(
    "language", [pytest.param(one, id=name) for name, one in LANGUAGES.items()]
)


@pytest.mark.parametrize(
    "number", [300, pytest.param(1_000, marks=pytest.mark.long)], ids=["some", "many"]
)
def test_made_up_replies_in_every_language(number: int) -> None:
    made = list(replies(2024, number))
    wrong = [one.name for one in made if new_text(one.text) != one.new]
    assert not wrong, "\n".join(wrong)


@languages
def test_every_line_above_a_quote_is_known(language: Language) -> None:
    for line in language.attributions:
        said = line.format(d=language.date, t="10:00", n="Ann Lee", a="ann@example.com")
        for below in ("> Well?\n> So.", "Well?\nSo."):
            assert new_text(f"{language.answer}\n\n{said}\n\n{below}") == language.answer, said


@languages
def test_a_telephone_s_line_is_no_part_of_the_answer(language: Language) -> None:
    for line in language.mobile:
        assert new_text(f"{language.answer}\n\n{line}") == language.answer, line


@languages
def test_a_forward_is_the_content(language: Language) -> None:
    inner = (
        "From: Ann <ann@example.com>\nDate: Fri, 5 Jan 2024 10:00\nSubject: "
        "x\n\nOn Fri, 5 Jan 2024 10:00, Bob <b@example.com> wrote:\n> Hello"
    )
    text = f"{language.answer}\n\n---------- {language.forwarded} ----------\n{inner}"
    assert new_text(text) == text
    assert new_text(text.split("\n\n", 1)[1]) == text.split("\n\n", 1)[1]


@languages
def test_a_header_block_is_content_where_the_subject_says_forward(language: Language) -> None:
    names = language.labels
    text = (
        f"{language.answer}\n\n{names[0]}: a@example.com\n{names[1]}: 5.1.2024\n"
        f"{names[2]}: b\n{names[3]}: c\n\nHello."
    )
    assert new_text(text, subject="Re: x") == language.answer
    for prefix in ("Fwd: ", "FW: ", "WG: ", "TR: ", "RV: ", "[Fwd: ", "Fwd[2]: "):
        assert new_text(text, subject=f"{prefix}x") == text


@table(
    ("text", "new"),
    [
        pytest.param(
            "Yes.\n\nOn Jan 5, 2024 at 10:00, Ann <\nann@example.com> wrote:\n> Hm?",
            "Yes.",
            id="wrapped behind the bracket",
        ),
        pytest.param(
            "Yes.\n\nOn Jan 5, 2024 at 10:00, Ann <ann@example.com\n> wrote:\n\n> Hm?",
            "Yes.",
            id="wrapped before the bracket",
        ),
        pytest.param(
            "Ja.\n\nfr. 5. jan. 2024 kl. 10:00 skrev Ann <ann@example.com\n>:\n\n> Hm?",
            "Ja.",
            id="wrapped before the bracket and the colon",
        ),
        pytest.param(
            "Yes.\nOn Jan 5, 2024, at 10:00, Ann <ann@example.com> wrote:\n> Hm?",
            "Yes.",
            id="no blank line above",
        ),
        pytest.param(
            "Yes.\n\nOn Jan 5, 2024 at 10:00, Ann <ann@example.com>wrote:\n\n> Hm?",
            "Yes.",
            id="no blank before the verb",
        ),
        pytest.param("Yes.\n\nAnn Lee wrote:\n> Hm?", "Yes.", id="a name alone above a quote"),
        pytest.param(
            'Yes.\n\n>>>>> "Ann" == Ann Lee <ann@example.com> writes:\n> Hm?',
            "Yes.",
            id="Supercite",
        ),
        pytest.param(
            (
                "Yes.\n\n---- On Fri, 05 Jan 2024 10:00:00 +0100 Ann <ann@example.com>"
                " wrote ----\n\nHm?"
            ),
            "Yes.",
            id="Zoho",
        ),
        pytest.param(
            "Yes.\n\n> On 5 Jan 2024, at 10:00, Ann <ann@example.com> wrote:\n> \n> Hm?",
            "Yes.",
            id="Apple, the line within the quote",
        ),
        pytest.param(
            ("Yes.\n\n> From: ann@example.com\n> To: us@example.com\n> Subject: x\n>\n> Hm?"),
            "Yes.",
            id="Hotmail",
        ),
        pytest.param(
            "Yes.\n\n* Ann Lee <ann@example.com> [2024-01-05 10:00]:\n> Hm?", "Yes.", id="mutt"
        ),
        pytest.param(
            (
                "Yes.\n\nFrom: Ann <ann@example.com>\nDate: Friday, 5 January 2024 "
                "at 10:00\nTo: us\nSubject: x\nHm?"
            ),
            "Yes.",
            id="Outlook for Mac",
        ),
        pytest.param(
            (
                "Yes.\n\nFrom: Ann Lee\n<ann@example.com>\nSent: 5 January 2024 10:00\n"
                "To: us;\n them; others\nSubject: x\n\nHm?"
            ),
            "Yes.",
            id="Outlook, wrapped",
        ),
        pytest.param(
            "Yes.\n-----Original Message-----From: Ann\nHm?", "Yes.", id="Outlook, run together"
        ),
        pytest.param(
            (
                "Yes.\n\nFrom: Ann [mailto:ann@example.com]\nSent: 5 January 2024\n"
                "To: us\nSubject: x\n\n> Hm?\n> So?"
            ),
            "Yes.",
            id="a header block above marked lines",
        ),
        pytest.param(
            ("Yes.\n\n-- \nAnn\n\nOn Jan 5, 2024 at 10:00, Bob <b@example.com> wrote:\n> Hm?"),
            "Yes.",
            id="a signature above the quote",
        ),
        pytest.param(
            ("Yes.\n\nOn Jan 5, 2024 at 10:00, Bob <b@example.com> wrote:\n> Hm?\n\n-- \nAnn"),
            "Yes.",
            id="a signature below the quote",
        ),
        pytest.param(
            "Ja.\n\nMit freundlichen Grüßen / Best regards\n\nAnn", "Ja.", id="two closings"
        ),
        pytest.param("Oui.\n\n----- Mail original -----\nHm?", "Oui.", id="Zimbra in French"),
        pytest.param(
            "Yes.\n\n---- Words of old ----\nFrom: a@x\nDate: 5 Jan 2024\nSubject: x\n\nHm?",
            "Yes.",
            id="unknown words between rules above a header block",
        ),
        pytest.param(
            "Yes.\n\n\u2014 Reply to this email directly, view it on a site.\nYou may.",
            "Yes.",
            id="a tracker's footer on one line",
        ),
        pytest.param("Oui.\n\n----\nAnn Lee\nT. 01.23.45.67.89", "Oui.", id="a French telephone"),
        pytest.param("Yes.\n\n--\nAnn\nSent from my iPhone\n", "Yes.", id="two signatures"),
        pytest.param(
            "Yes.\n\nBest regards,\nAnn\n\n--\nAnn Lee\nHead of things",
            "Yes.",
            id="a closing and a signature",
        ),
        pytest.param(
            (
                "Yes.\n\n_______________________________________________\nsome-list "
                "mailing list\nsome-list@example.com\nhttps://example.com/some-list"
            ),
            "Yes.",
            id="a list's footer",
        ),
        pytest.param(
            "Yes.\n\n—\nReply to this email directly or view it on a site.",
            "Yes.",
            id="a tracker's footer",
        ),
        pytest.param("Yes.\n\nViele Grüße Ann", "Yes.", id="a closing and a name on one line"),
        pytest.param("Yes.\n\nKind regards, Ann Lee", "Yes.", id="a closing, a comma and a name"),
        pytest.param("Yes.\n\nThanks,\nAnn Lee\n+1 555 010 9999", "Yes.", id="thanks above a card"),
        pytest.param(
            "> Hm?\n> So?\n\nYes.", "> Hm?\n> So?\n\nYes.", id="an answer below what nobody said"
        ),
        pytest.param(
            "On Jan 5, 2024 10:00, Bob wrote:\n> Hm?\n\nYes.\n\n> So?\n\nNo.\n\n> Or?\n",
            "On Jan 5, 2024 10:00, Bob wrote:\n> Hm?\n\nYes.\n\n> So?\n\nNo.",
            id="answers between",
        ),
        pytest.param(
            "Hi Bob,\n\nOn Jan 5, 2024 10:00, Bob wrote:\n> Hm?\n\nYes.",
            "Hi Bob,\n\nOn Jan 5, 2024 10:00, Bob wrote:\n> Hm?\n\nYes.",
            id="a word above and an answer below",
        ),
        pytest.param(
            (
                "Yes.\n\nOn Jan 5, 2024 10:00, Bob wrote:\n> a line so long that "
                "some program on its way took it for too long\nand cut\n> it."
            ),
            "Yes.",
            id="a quoted line that was cut",
        ),
        pytest.param("Yes.\n\n> Hm?\n>\n> So?", "Yes.", id="a quote with no line above it"),
        pytest.param(
            "On Jan 5, 2024 10:00, Bob <b@example.com> wrote:\n> Hm?",
            "On Jan 5, 2024 10:00, Bob <b@example.com> wrote:\n> Hm?",
            id="nothing but a quote",
        ),
        pytest.param("Sent from my iPhone", "Sent from my iPhone", id="nothing but a signature"),
        pytest.param("", "", id="nothing"),
        pytest.param(" \n\n ", "", id="blanks"),
    ],
)
def test_shapes_of_a_reply(text: str, new: str) -> None:
    assert new_text(text) == new


@table(
    ("text", "sender", "new"),
    [
        pytest.param(
            "Yes.\n\nAnn Lee\nHead of things", "Ann Lee", "Yes.", id="a card with the name in From"
        ),
        pytest.param(
            "Yes.\n\nAnn Lee\nHead of things",
            "",
            "Yes.\n\nAnn Lee\nHead of things",
            id="a name that nobody knows",
        ),
        pytest.param(
            "Yes.\n\nAnn Lee\nHead of things",
            "Bob Ray",
            "Yes.\n\nAnn Lee\nHead of things",
            id="another's card",
        ),
        pytest.param("Yes.\n\n-Ann Lee", "Ann Lee", "Yes.", id="a dash and the name"),
        pytest.param("Yes.\n\n-Ann", "Ann Lee", "Yes.", id="a dash and the first name"),
        pytest.param(
            "Yes.\n\n-Ann Lee", "", "Yes.\n\n-Ann Lee", id="a dash and a name that nobody knows"
        ),
        pytest.param("Yes.\n\nAnn", "Ann Lee", "Yes.\n\nAnn", id="the name alone stays"),
        pytest.param(
            "Ann Lee\nHead of things", "Ann Lee", "Ann Lee\nHead of things", id="nothing but a card"
        ),
    ],
)
def test_the_name_in_from_shows_a_signature(text: str, sender: str, new: str) -> None:
    assert new_text(text, sender=sender) == new


ANSWER = "Yes, that works for me."


@table(
    "line",
    [
        pytest.param(
            "На пт, 5.01.2024 г. в 10:00 Ann Lee <ann@example.com> написа:", id="Bulgarian"
        ),
        pytest.param(
            "pet, 5. sij 2024. u 10:00 Ann Lee <ann@example.com> napisao je:", id="Croatian"
        ),
        pytest.param(
            "Dana 5. sij 2024. u 10:00 Ann Lee <ann@example.com> je napisala:",
            id="Croatian, the verb last",
        ),
        pytest.param(
            "пет, 5. јан 2024. у 10:00 Ann Lee <ann@example.com> је написао/ла:", id="Serbian"
        ),
        pytest.param("På 5. jan 2024 10:00 Ann Lee <ann@example.com> skrev:", id="Norwegian"),
        pytest.param(
            "V pet., 5. jan. 2024 ob 10:00 je oseba Ann Lee <ann@example.com> napisala:",
            id="Slovene",
        ),
        pytest.param(
            "În vin., 5 ian. 2024 la 10:00, Ann Lee <ann@example.com> a scris:", id="Romanian"
        ),
        pytest.param(
            "Ann Lee <ann@example.com> ezt írta (időpont: 2024. jan. 5., P, 10:00):", id="Hungarian"
        ),
        pytest.param(
            "Ann Lee <ann@example.com>, 5 Oca 2024 Cum, 10:00 tarihinde şunu yazdı:", id="Turkish"
        ),
        pytest.param(
            "Στις Παρ 5 Ιαν 2024 στις 10:00 π.μ., ο χρήστης Ann Lee <ann@example.com> έγραψε:",
            id="Greek",
        ),
        pytest.param("เมื่อ ศ. 5 ม.ค. 2024 เวลา 10:00 Ann Lee <ann@example.com> เขียนว่า:", id="Thai"),
        pytest.param(
            "Vào Th 6, 5 thg 1, 2024 vào lúc 10:00 Ann Lee <ann@example.com> đã viết:",
            id="Vietnamese",
        ),
        pytest.param(
            "शुक्र, 5 जन॰ 2024 को 10:00 am बजे को Ann Lee <ann@example.com> ने लिखा:", id="Hindi"
        ),
        pytest.param("2024-01-05, pn, 10:00 Ann Lee <ann@example.com> rašė:", id="Lithuanian"),
        pytest.param(
            "Kuupäev R, 5. jaanuar 2024 kell 10:00 kirjutas Ann Lee <ann@example.com>:",
            id="Estonian",
        ),
        pytest.param(
            "Kirjutas Ann Lee (ann@example.com) kuupäeval R, 5. jaanuar 2024 kell 10:00:",
            id="Estonian, the verb first",
        ),
        pytest.param(
            "في الجمعة، ٥ يناير ٢٠٢٤ في ١٠:٠٠ ص تمت كتابة ما يلي بواسطة Ann Lee <ann@example.com>:",
            id="Arabic, with digits of its own",
        ),
        pytest.param(
            "Excerpts from Ann Lee's message of January 5, 2024 10:00 am:", id="English, of Emacs"
        ),
        pytest.param(
            "Missatge de Ann Lee <ann@example.com> del dia dv., 5 de gen. 2024 a les 10:00:",
            id="Catalan",
        ),
        pytest.param(
            "O ven, 5 xan 2024 ás 10:00, Ann Lee (<ann@example.com>) escribiu:", id="Galician"
        ),
        pytest.param(
            "Am 05.01.2024 um 10:00 hat Ann Lee <ann@example.com> geschrieben:",
            id="German, the verb last",
        ),
        pytest.param(
            "Am 5. Januar 2024 um 10:00 hat Ann Lee Folgendes geschrieben:",
            id="German, without an address",
        ),
        pytest.param(
            "Ann Lee <ann@example.com> hat am 05.01.2024 10:00 geschrieben:",
            id="German, the name first",
        ),
        pytest.param(
            "Op 5 jan. 2024 om 10:00 heeft Ann Lee het volgende geschreven:",
            id="Dutch, the verb last",
        ),
        pytest.param("Ann Lee kirjoitti 5.1.2024 klo 10.00:", id="Finnish, the name first"),
        pytest.param(
            "Ann Lee şunları yazdı (5 Oca 2024 10:00):", id="Turkish, the date in brackets"
        ),
        pytest.param(
            "Lee Ann <ann@example.com> ezt írta (időpont: 2024. jan. 5., P,\n10:00):",
            id="Hungarian, the date in brackets and wrapped",
        ),
        pytest.param(
            "On Fri, Jan 5, 2024 at 10:00 AM Ann Lee <\nann@example.com> wrote",
            id="English, wrapped and without its colon",
        ),
        pytest.param("Ann Lee <ann@example.com> wrote on 5 January 2024:", id="without a time"),
    ],
)
def test_a_line_above_a_quote_in_further_languages(line: str) -> None:
    for below in ("> Well?\n> So.", "Well?\nSo."):
        assert new_text(f"{ANSWER}\n\n{line}\n\n{below}") == ANSWER


@table(
    "mark",
    [
        pytest.param("2024/1/5 Ann Lee <ann@example.com>\n\n> Well?", id="no verb and no colon"),
        pytest.param(
            "Fri, 5 Jan 2024 Ann Lee <ann@example.com>\n> Well?", id="a day without a colon"
        ),
        pytest.param(
            "On 5 Jan 2024 at 10:00 Ann Lee\n\n<ann@example.com> wrote:\n\n> Well?",
            id="an empty line in it",
        ),
        pytest.param(
            "5.1.2024 10:00 Ann Lee\n\n<ann@example.com>:\n\n> Well?", id="an empty line, no verb"
        ),
        pytest.param(
            "Am 5.1.2024 um 10:00 Uhr\n\nschrieb Ann Lee:\n\nWell?", id="an empty line, German"
        ),
        pytest.param(
            "On 5 Jan 2024 10:00, Ann <ann@example.com> wrote:\n\n| Well?\n|\n| So.", id="bars"
        ),
        pytest.param(
            "2024/1/5 Ann <ann@example.com>\n\n| Well?", id="bars below a line without a colon"
        ),
        pytest.param(
            "Ann Lee <ann@example.com> wrote on 5 January 2024:\n| Well?\n| So.",
            id="bars and a verb",
        ),
        pytest.param("Ann Lee <ann@example.com> 05.01.2024 10:00\n\n> Well?", id="the date last"),
        pytest.param("*--- Original Message ---*\nFrom: Ann\n\nWell?", id="an original in bold"),
        pytest.param("**-----Original Message-----**\nWell?", id="an original in two stars"),
        pytest.param(
            "Original Message processed by groupware\nRe: x 5. January 2024\n\nWell?",
            id="processed",
        ),
        pytest.param(
            "From: Ann <a@example.com>\n\nSent: 5 Jan 2024 10:00\n\nTo: Bob\n\nSubject: x\n\nHm?",
            id="a header with empty lines",
        ),
        pytest.param(
            "From: Ann <a@example.com>\n\nDate: 5 January 2024 10:00\nTo: Bob\nSubject: x\n\nWell?",
            id="a header with one",
        ),
        pytest.param(
            "Von: Ann <a@example.com>\n\n\nGesendet: 5.1.2024 10:00\n\n\nBetreff: x\n\nWell?",
            id="a header with two, German",
        ),
        pytest.param(
            "Από: Ann <a@example.com>\nΣτάλθηκε: 5 Ιανουαρίου 2024\nΠρος: Bob\nΘέμα: x\n\nWell?",
            id="Greek Outlook",
        ),
        pytest.param(
            "De la: Ann <a@example.com>\nTrimis: 5 ianuarie 2024\nCătre: Bob\nSubiect: x\n\nWell?",
            id="Romanian Outlook",
        ),
        pytest.param(
            "От: Ann <a@example.com>\nИзпратено: 5 януари 2024\nДо: Bob\nОтносно: x\n\nWell?",
            id="Bulgarian Outlook",
        ),
        pytest.param(
            "Šalje: Ann <a@example.com>\nPoslano: 5. siječnja 2024\nPrima: Bob\nPredmet: x\n\nHm?",
            id="Croatian Outlook",
        ),
    ],
)
def test_history_goes_whatever_its_head_looks_like(mark: str) -> None:
    assert new_text(f"{ANSWER}\n\n\n{mark}") == ANSWER


@table(
    "text",
    [
        pytest.param("The prices of 5 Jan 2024:\n\n| Lamp | 5 |\n| Desk | 7 |", id="a table"),
        pytest.param(
            "As of 5 Jan 2024, Ann says:\n\n| Only one column", id="bars below no address"
        ),
        pytest.param(
            "It was on 5 Jan 2024.\n\n<ann@example.com> wrote:\n\nsomething",
            id="a sentence above an address",
        ),
        pytest.param("From: here\n\nTo: there\n\nDate: none", id="a journey with empty lines"),
        pytest.param("We meet on 5 Jan 2024: Ann <ann@example.com>", id="a date and an address"),
        pytest.param(
            "Party: all are welcome\nDate: 5 Jan 2024, 19:00\nFrom: 19:00\nTo: 23:00\n\nComing?",
            id="a party from seven to eleven",
        ),
        pytest.param(
            "Memo\n\nFrom: The board\nTo: All staff\nDate: 5 Jan 2024\nSubject: Rest\n\nWe close.",
            id="a memorandum",
        ),
        pytest.param(
            "FAX\nTo: Ann Lee\nFrom: Bob Ray\nPages: 3\nSubject: The lease\n\nPlease sign.",
            id="a fax",
        ),
        pytest.param(
            "Shift\n\nFrom: 8 am\nTo: 4 pm\nDate: 05.01.2024\nSubject: cleaning\n\nOK?",
            id="a shift",
        ),
        pytest.param(
            "Here is the text that she wrote\n\n> All is well.\n\nAnd what do you think of it?",
            id="a verb and no colon above what is shown",
        ),
    ],
)
def test_what_resembles_such_a_head_stays(text: str) -> None:
    assert new_text(text) == text


MARKS = (
    "Begin forwarded message:",
    "Anfang der weitergeleiteten Nachricht:",
    "Début du message réexpédié :",
    "Inicio del mensaje reenviado:",
    "Inizio messaggio inoltrato:",
    "Begin doorgestuurd bericht:",
    "Start på videresendt besked:",
    "Začátek přeposílané zprávy:",
    "Начало переадресованного сообщения:",
    "开始转发的邮件：",
    "転送されたメッセージ：",
    "Start på videresendt melding:",
    "Začátek přeposlané zprávy:",
    "Alkaa välitetty viesti:",
    "Początek przekazanej wiadomości:",
    "Початок листа, що пересилається:",
    "以下是转发的邮件：",
    "시작: 전달된 메시지",
    "İletilen ileti başlangıcı:",
    "-------- Перенаправленное сообщение --------",
    "-------- Mesaj înaintat --------",
)
HEAD = "From: Carl <carl@example.net>\nSubject: The offer\nDate: 5 January 2024 at 09:12\nTo: Ann"


def quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


@table("mark", MARKS)
@table("subject", ["Fwd: The offer", "Re: The offer", "The offer"])
@table(
    "head",
    [
        pytest.param(HEAD, id="a header block"),
        pytest.param(
            "On 5 Jan 2024, at 09:12, Carl <carl@example.net> wrote:", id="an attribution"
        ),
        pytest.param(
            "On 5 Jan 2024, at 09:12, Carl\n<carl@example.net> wrote:",
            id="an attribution of two lines",
        ),
        pytest.param(
            "Wiadomość napisana przez Carl <carl@example.net> w dniu 5 sty 2024, o godz. 09:12:",
            id="a long attribution",
        ),
    ],
)
def test_a_message_that_is_passed_on_in_a_quote_is_content(
    mark: str, subject: str, head: str
) -> None:
    passed_on = quoted(f"{mark}\n\n{head}\n\nThe price is 4200 euros.")
    for text in (f"Have a look.\n\n{passed_on}", passed_on):
        assert new_text(text, subject=subject) == text


def test_under_a_forward_s_subject_a_quoted_header_block_is_content() -> None:
    text = f"Have a look.\n\n{quoted(HEAD)}\n>\n> The price is 4200 euros."
    assert new_text(text, subject="WG: The offer") == text
    assert new_text(text, subject="Re: The offer") == "Have a look."


@table("mark", MARKS)
def test_an_answer_to_a_forward_is_cut(mark: str) -> None:
    forward = quoted(f"Have a look.\n\n{quoted(f'{mark}{chr(10)}{chr(10)}{HEAD}')}\n")
    assert new_text(f"{ANSWER}\n\n{forward}", subject="Re: Fwd: The offer") == ANSWER
    attributed = (
        f"On 5 Jan 2024, at 10:00, Ann <ann@example.com> wrote:\n\n{quoted(mark)}\n{quoted(HEAD)}"
    )
    assert new_text(f"{ANSWER}\n\n{attributed}", subject="Re: The offer") == ANSWER


DATA = (
    "Ann Lee\n12 High Street\nSpringfield\n+1 555 010 9999",
    "Ann Lee\nIBAN DE00 1234 5678 9012 3456 00\nann@example.com",
    "Ann Lee, passport X1234567\nborn 1 May 1980",
)


@table("data", DATA, ids=["an address", "an account", "a passenger"])
@table("gap", ["\n", "\n\n"], ids=["below", "below an empty line"])
@table(
    "lead",
    [
        "Please send the invoice to:",
        "Please send the invoice to",
        "My new address:",
        "My new address",
        "Please book the flight for this passenger",
        "Here is my address.",
        "Die Rechnung bitte an folgende Adresse:",
        "Meine neue Anschrift",
        "Voici mon adresse :",
        "Merci d'envoyer la facture à mon adresse",
        "Mi dirección es",
        "Il mio indirizzo è il seguente",
        "请寄到以下地址",
        "送り先の住所です",
    ],
)
def test_a_person_s_data_below_a_lead_in_is_no_signature(lead: str, gap: str, data: str) -> None:
    text = f"Hello,\n\n{lead}{gap}{data}"
    assert new_text(text, sender="Ann Lee") == text
    ruled = f"{lead}\n---\n{data}"
    assert new_text(ruled, sender="Ann Lee") == ruled


@table(
    "lead",
    [
        "Attendees",
        "I want to register these people.",
        "Can you change the name on the booking to this?",
        "Favor enviar a nota fiscal para",
        "Skicka det till",
    ],
)
def test_a_person_s_data_below_a_word_that_goes_on_is_no_signature(lead: str) -> None:
    for data in DATA:
        assert new_text(f"{lead}\n\n{data}", sender="Ann Lee") == f"{lead}\n\n{data}"


def test_a_card_below_a_sentence_is_a_signature() -> None:
    for sentence in (ANSWER, "I send the invoice tomorrow.", "See you there!"):
        assert new_text(f"{sentence}\n\n{DATA[0]}", sender="Ann Lee") == sentence


@table(
    "line",
    [
        "发自我的iPhone",
        "發自我的iPad",
        "从我的Android手机发送",
        "(sent from my phone)",
        "[Sent from my iPad]",
        "Get [Outlook for Android](https://example.com/o)",
        "[Sent from Proton Mail](https://example.com) for iOS",
        "Sent from my Android phone.  Please excuse typos",
        "Sent from my iPhone. Sorry for the brevity.",
        "Von meinem iPhone gesendet. Tippfehler bitte entschuldigen",
        "iPhone'dan gönderildi",
        "iPhone-ról küldve",
        "Elküldve az iPhone-omról",
        "أُرسلت من الـ iPhone",
        "ส่งจาก iPhone ของฉัน",
        "Đã gửi từ iPhone của tôi",
        "Odoslané z iPhonu",
        "Gesendet von unterwegs",
        "Get BlueMail for Android",
        "Odesláno z aplikace Email.cz",
        "Yahoo Mail: Search, Organize, Conquer <https://example.com/y>",
        "네이버 메일앱에서 보냄",
        "Sent from Yahoo Mail. Get the app",
        "Typed with thumbs, sent from my phone",
    ],
)
def test_a_telephone_s_line_in_many_shapes_is_cut(line: str) -> None:
    assert new_text(f"{ANSWER}\n\n{line}") == ANSWER


@pytest.mark.parametrize(
    "line",
    [
        "Sent from my desk, which is easier than the telephone.",
        "Sent from my phone. The parcel is with the neighbour.",
        "(sent the parcel from my office)",
        "[Read this](https://example.com/o)",
    ],
)
def test_a_sentence_that_resembles_such_a_line_stays(line: str) -> None:
    assert new_text(f"{ANSWER}\n\n{line}") == f"{ANSWER}\n\n{line}"


@table(
    "closing",
    [
        "Beste Grüße aus Köln,\nAnn",
        "BR Ann",
        "Talk soon,\nAnn",
        "Bonne journée,\n\nAnn Lee",
        "Με εκτίμηση,\nAnn Lee",
        "Cu stimă,\nAnn Lee",
        "Üdvözlettel,\nLee Ann",
        "Saygılarımla\nAnn Lee",
        "Srdačan pozdrav\nAnn Lee",
        "С уважение,\nАн Ли",
        "בברכה,\nAnn Lee",
        "مع أطيب التحيات،\nAnn Lee",
        "*Ann Lee*\nSales\n+1 555 010 9999",
        "Best,\n\nAnn Lee\nSales Manager | The Lamp Shop Ltd.\n<https://example.com>",
        "Viele Grüße\nAnn Lee\nVorsitzende der Freunde des Waldes e.V.",
    ],
)
def test_a_closing_and_a_name_are_cut(closing: str) -> None:
    assert new_text(f"{ANSWER}\n\n{closing}", sender="Ann Lee") == ANSWER


@pytest.mark.parametrize(
    "head",
    [
        "##- Please type your reply above this line -##\n\nCarl (Shop)\n5 Jan 2024, 09:12",
        "----- Bitte Antwort über dieser Zeile eingeben -----",
        "----------------\nКому: ann@example.com;\nТема: Offer;\n05.01.2024, 09:12, "
        '"Carl" <carl@example.net>:',
        "On 5 Jan 2024, Carl <carl@example.net> wrote\n\n>",
        ">>> Carl Doe <carl@example.net> 05/01/2024 09:12 >>>\nHello\n",
        ">>> On 05/01/2024 at 09:12, in message <1@example.net>, Carl\n<carl@example.net> wrote:\n",
    ],
    ids=[
        "a help desk",
        "a German help desk",
        "Yandex",
        "an attribution without a colon",
        "GroupWise",
        "GroupWise, on two lines",
    ],
)
def test_history_below_an_unusual_head_is_cut(head: str) -> None:
    assert new_text(f"{ANSWER}\n\n{head}\n> Is it done?\n> Carl") == ANSWER


@pytest.mark.parametrize("delimiter", ["--", "-- ", "\u2014"])
def test_a_card_below_a_delimiter_goes_whoever_sent_it(delimiter: str) -> None:
    card = "Eric Moss - eric@example.net - https://example.net\nThe key of my mail is:\n0123 4567"
    assert new_text(f"{ANSWER}\n\n{delimiter}\n{card}") == ANSWER
