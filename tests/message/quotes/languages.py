"""What mail programs write around a quote in each language: a table of the tests' own.

``{d}`` is a date, ``{t}`` a time, ``{n}`` a name and ``{a}`` an address.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """A language as mail programs speak it.

    Attributes:
        attributions: lines above a quote.
        labels: names of the header fields From, Sent, To and Subject in a block.
        original: what stands between dashes above the message that is answered.
        forwarded: what stands between dashes above one that is passed on.
        mobile: lines that telephones add.
        closing: what stands above the own name.
        answer: a sentence or two that somebody writes.
        date: a day, as programs write it.
    """

    attributions: tuple[str, ...]
    labels: tuple[str, str, str, str]
    original: str
    forwarded: str
    mobile: tuple[str, ...]
    closing: str
    answer: str
    date: str


LANGUAGES = {
    "English": Language(
        (
            "On {d} at {t}, {n} <{a}> wrote:",
            "On {d} {t}, {n} wrote:",
            "On {d}, at {t}, {n} <{a}> wrote:",
            "{n} <{a}> wrote on {d} {t}:",
            "{d} {t} {n} <{a}>:",
            "On {d} at {t} {n} ({a}) wrote:",
        ),
        ("From", "Sent", "To", "Subject"),
        "Original Message",
        "Forwarded message",
        (
            "Sent from my iPhone",
            "Get Outlook for iOS",
            "Sent from Yahoo Mail on Android",
            "Sent from my Galaxy",
            "Get Outlook for Android<https://aka.ms/x>",
            "Sent from Mail for Windows",
        ),
        "Best regards,",
        "Yes, that works for me.\nShall we say ten o'clock?",
        "Fri, Jan 5, 2024",
    ),
    "German": Language(
        (
            "Am {d} um {t} schrieb {n} <{a}>:",
            "Am {d} um {t} schrieb {n}:",
            "{n} <{a}> schrieb am {d} um {t}:",
            "Am Fr., {d} um {t} Uhr schrieb {n} <{a}>:",
            "{n} schrieb am {d} um {t}:",
        ),
        ("Von", "Gesendet", "An", "Betreff"),
        "Ursprüngliche Nachricht",
        "Weitergeleitete Nachricht",
        (
            "Von meinem iPhone gesendet",
            "Gesendet von Outlook für Android",
            "Von meinem Samsung Galaxy Smartphone gesendet.",
            "Diese Nachricht wurde von meinem Android-Gerät mit GMX Mail gesendet.",
            "Gesendet von Mail für Windows",
        ),
        "Mit freundlichen Grüßen",
        "Ja, das passt mir gut.\nBis morgen dann!",
        "05.01.2024",
    ),
    "French": Language(
        (
            "Le {d} à {t}, {n} <{a}> a écrit :",
            "Le {d} {t}, {n} a écrit\u00a0:",
            "Le ven. {d} à {t}, {n} <{a}> a écrit\u202f:",
        ),
        ("De", "Envoyé", "À", "Objet"),
        "Message d'origine",
        "Message transféré",
        (
            "Envoyé de mon iPhone",
            "Télécharger Outlook pour iOS",
            "Envoyé depuis mon appareil mobile Samsung",
        ),
        "Cordialement,",
        "Oui, cela me convient.\nMerci de la réponse.",
        "5 janv. 2024",
    ),
    "Spanish": Language(
        (
            "El {d} a las {t}, {n} <{a}> escribió:",
            "El {d} {t}, {n} escribió:",
            "El vie, {d} a las {t}, {n} (<{a}>) escribió:",
        ),
        ("De", "Enviado", "Para", "Asunto"),
        "Mensaje original",
        "Mensaje reenviado",
        (
            "Enviado desde mi iPhone",
            "Obtener Outlook para Android",
            "Enviado desde mi teléfono móvil Samsung",
        ),
        "Un saludo,",
        "Sí, me parece bien.\nNos vemos el lunes.",
        "5 ene 2024",
    ),
    "Portuguese": Language(
        (
            "Em {d} às {t}, {n} <{a}> escreveu:",
            "Em {d} {t}, {n} escreveu:",
            "{n} <{a}> escreveu no dia {d} às {t}:",
        ),
        ("De", "Enviado", "Para", "Assunto"),
        "Mensagem original",
        "Mensagem encaminhada",
        ("Enviado do meu iPhone", "Obter o Outlook para iOS", "Enviado a partir do meu telemóvel"),
        "Atenciosamente,",
        "Sim, pode ser.\nAté amanhã.",
        "05/01/2024",
    ),
    "Italian": Language(
        (
            "Il giorno {d} alle ore {t} {n} <{a}> ha scritto:",
            "Il {d} {t}, {n} ha scritto:",
            "In data {d} {t}, {n} <{a}> ha scritto:",
        ),
        ("Da", "Inviato", "A", "Oggetto"),
        "Messaggio originale",
        "Messaggio inoltrato",
        ("Inviato da iPhone", "Ottieni Outlook per Android", "Inviato dal mio dispositivo Samsung"),
        "Cordiali saluti",
        "Sì, va bene.\nA domani.",
        "5 gen 2024",
    ),
    "Dutch": Language(
        (
            "Op {d} om {t} schreef {n} <{a}>:",
            "Op {d} {t} schreef {n}:",
            "{n} <{a}> schreef op {d} {t}:",
            "Op vr {d} om {t} schreef {n} <{a}>:",
        ),
        ("Van", "Verzonden", "Aan", "Onderwerp"),
        "Oorspronkelijk bericht",
        "Doorgestuurd bericht",
        (
            "Verstuurd vanaf mijn iPhone",
            "Outlook voor Android downloaden",
            "Verzonden vanaf mijn Galaxy-telefoon",
        ),
        "Met vriendelijke groet,",
        "Ja, dat is goed.\nTot morgen.",
        "5 jan. 2024",
    ),
    "Polish": Language(
        (
            "Dnia {d} {t} {n} <{a}> napisał(a):",
            "pt., {d} o {t} {n} <{a}> napisał(a):",
            "W dniu {d} o {t}, {n} pisze:",
        ),
        ("Od", "Wysłano", "Do", "Temat"),
        "Oryginalna wiadomość",
        "Przekazana wiadomość",
        (
            "Wysłane z iPhone'a",
            "Pobierz aplikację Outlook dla systemu Android",
            "Wysłano z mojego telefonu Samsung",
        ),
        "Pozdrawiam",
        "Tak, pasuje mi.\nDo jutra.",
        "5 stycznia 2024",
    ),
    "Swedish": Language(
        (
            "Den {d} kl. {t} skrev {n} <{a}>:",
            "Den fre {d} kl {t} skrev {n} <{a}>:",
            "{d} kl. {t} skrev {n} <{a}>:",
        ),
        ("Från", "Skickat", "Till", "Ämne"),
        "Ursprungligt meddelande",
        "Vidarebefordrat meddelande",
        ("Skickat från min iPhone", "Hämta Outlook för Android", "Skickat från Outlook för iOS"),
        "Med vänliga hälsningar",
        "Ja, det går bra.\nVi ses i morgon.",
        "5 jan. 2024",
    ),
    "Danish": Language(
        ("Den {d} kl. {t} skrev {n} <{a}>:", "Den fre. {d} kl. {t} skrev {n} <{a}>:"),
        ("Fra", "Sendt", "Til", "Emne"),
        "Oprindelig meddelelse",
        "Videresendt meddelelse",
        ("Sendt fra min iPhone", "Hent Outlook til Android", "Sendt fra min Samsung-telefon"),
        "Med venlig hilsen",
        "Ja, det er fint.\nVi ses i morgen.",
        "5. jan. 2024",
    ),
    "Norwegian": Language(
        (
            "{d} kl. {t} skrev {n} <{a}>:",
            "fre. {d} kl. {t} skrev {n} <{a}>:",
            "Den {d} {t}, skrev {n}:",
        ),
        ("Fra", "Sendt", "Til", "Emne"),
        "Opprinnelig melding",
        "Videresendt melding",
        ("Sendt fra min iPhone", "Skaff deg Outlook for Android", "Sendt fra Outlook for iOS"),
        "Med vennlig hilsen",
        "Ja, det passer.\nVi sees i morgen.",
        "5. jan. 2024",
    ),
    "Finnish": Language(
        (
            "{n} <{a}> kirjoitti {d} kello {t}:",
            "pe {d} klo {t} {n} ({a}) kirjoitti:",
            "{d} {t}, {n} kirjoitti:",
        ),
        ("Lähettäjä", "Lähetetty", "Vastaanottaja", "Aihe"),
        "Alkuperäinen viesti",
        "Edelleenlähetetty viesti",
        (
            "Lähetetty iPhonesta",
            "Hanki Outlook Androidille",
            "Lähetetty Samsung Galaxy -puhelimesta",
        ),
        "Ystävällisin terveisin",
        "Kyllä, se sopii.\nNähdään huomenna.",
        "5.1.2024",
    ),
    "Czech": Language(
        (
            "Dne {d} v {t} {n} <{a}> napsal(a):",
            "pá {d} v {t} odesílatel {n} <{a}> napsal:",
            "Dne {d} {t}, {n} napsal:",
        ),
        ("Od", "Odesláno", "Komu", "Předmět"),
        "Původní zpráva",
        "Přeposlaná zpráva",
        ("Odesláno z iPhonu", "Získat Outlook pro Android", "Odesláno z mého zařízení Samsung"),
        "S pozdravem",
        "Ano, hodí se mi to.\nUvidíme se zítra.",
        "5. 1. 2024",
    ),
    "Russian": Language(
        (
            "{d} в {t}, {n} <{a}> н\u0430пис\u0430л(\u0430):",
            "пт, {d} г. в {t}, {n} <{a}>:",
            "{d} {t}, {n} пишет:",
        ),
        ("От", "Отпр\u0430влен\u043e", "К\u043eму", "Тем\u0430"),
        "Исх\u043eдн\u043eе с\u043e\u043eбщение",
        "Пересыл\u0430ем\u043eе с\u043e\u043eбщение",
        (
            "Отпр\u0430влен\u043e с iPhone",
            "Отпр\u0430влен\u043e из м\u043eбильн\u043eй П\u043eчты Mail.ru",
        ),
        "С ув\u0430жением,",
        "Д\u0430, эт\u043e п\u043eдх\u043eдит.\nД\u043e з\u0430втр\u0430.",
        "5 янв. 2024",
    ),
    "Ukrainian": Language(
        (
            "{d} \u043e {t} {n} <{a}> пише:",
            "пт, {d} р. \u043e {t} {n} <{a}> пише:",
            "{d} {t}, {n} н\u0430пис\u0430в:",
        ),
        ("Від", "Н\u0430дісл\u0430н\u043e", "К\u043eму", "Тем\u0430"),
        "Оригін\u0430льне п\u043eвід\u043eмлення",
        "Пересл\u0430не п\u043eвід\u043eмлення",
        ("Н\u0430дісл\u0430н\u043e з iPhone", "Н\u0430дісл\u0430н\u043e з пристр\u043eю Android"),
        "З п\u043eв\u0430г\u043eю,",
        "Т\u0430к, це мені підх\u043eдить.\nД\u043e з\u0430втр\u0430.",
        "05.01.2024",
    ),
    "Chinese": Language(
        (
            "{n} <{a}> 于{d}周五 {t}写道：",
            "在 {d}，{t}，{n} <{a}> 写道：",
            "{n} <{a}> 於 {d} {t} 寫道：",
        ),
        ("发件人", "发送时间", "收件人", "主题"),
        "原始邮件",
        "转发的邮件",
        ("发自我的 iPhone", "获取 Outlook for Android", "发自我的手机"),
        "此致",
        "可以，没问题\u3002\n明天见\u3002",
        "2024年1月5日",
    ),
    "Japanese": Language(
        (
            "{d}(金) {t} {n} <{a}>:",
            "{d} {t}、{n} <{a}>のメール:",
            "{d} {t}、{n} さんは書きました：",
        ),
        ("差出人", "送信日時", "宛先", "件名"),
        "元のメッセージ",
        "転送メッセージ",
        ("iPhoneから送信", "Outlook for iOS を入手する"),
        "敬具",
        "はい、大丈夫です\u3002\n明日お会いしましょう\u3002",
        "2024年1月5日",
    ),
    "Korean": Language(
        ("{d} {t}, {n} <{a}>님이 작성:", "{d} 오후 {t}, {n} <{a}> 작성:"),
        ("보낸 사람", "보낸 날짜", "받는 사람", "제목"),
        "원본 메시지",
        "전달된 메일",
        ("나의 iPhone에서 보냄", "Android용 Outlook 다운로드"),
        "감사합니다.",
        "네, 좋습니다.\n내일 뵙습니다.",
        "2024년 1월 5일",
    ),
}
