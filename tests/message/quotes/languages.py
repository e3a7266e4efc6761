"""What mail programs write around a quote in each language: the tests' own table, from the programs.

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
        ("On {d} at {t}, {n} <{a}> wrote:", "On {d} {t}, {n} wrote:", "On {d}, at {t}, {n} <{a}> wrote:",
         "{n} <{a}> wrote on {d} {t}:", "{d} {t} {n} <{a}>:", "On {d} at {t} {n} ({a}) wrote:"),
        ("From", "Sent", "To", "Subject"), "Original Message", "Forwarded message",
        ("Sent from my iPhone", "Get Outlook for iOS", "Sent from Yahoo Mail on Android", "Sent from my Galaxy",
         "Get Outlook for Android<https://aka.ms/x>", "Sent from Mail for Windows"),
        "Best regards,", "Yes, that works for me.\nShall we say ten o'clock?", "Fri, Jan 5, 2024"),
    "German": Language(
        ("Am {d} um {t} schrieb {n} <{a}>:", "Am {d} um {t} schrieb {n}:", "{n} <{a}> schrieb am {d} um {t}:",
         "Am Fr., {d} um {t} Uhr schrieb {n} <{a}>:", "{n} schrieb am {d} um {t}:"),
        ("Von", "Gesendet", "An", "Betreff"), "Urspr\u00fcngliche Nachricht", "Weitergeleitete Nachricht",
        ("Von meinem iPhone gesendet", "Gesendet von Outlook f\u00fcr Android", "Von meinem Samsung Galaxy Smartphone gesendet.",
         "Diese Nachricht wurde von meinem Android-Ger\u00e4t mit GMX Mail gesendet.", "Gesendet von Mail f\u00fcr Windows"),
        "Mit freundlichen Gr\u00fc\u00dfen", "Ja, das passt mir gut.\nBis morgen dann!", "05.01.2024"),
    "French": Language(
        ("Le {d} \u00e0 {t}, {n} <{a}> a \u00e9crit :", "Le {d} {t}, {n} a \u00e9crit\u00a0:", "Le ven. {d} \u00e0 {t}, {n} <{a}> a \u00e9crit\u202f:"),
        ("De", "Envoy\u00e9", "\u00c0", "Objet"), "Message d'origine", "Message transf\u00e9r\u00e9",
        ("Envoy\u00e9 de mon iPhone", "T\u00e9l\u00e9charger Outlook pour iOS", "Envoy\u00e9 depuis mon appareil mobile Samsung"),
        "Cordialement,", "Oui, cela me convient.\nMerci de la r\u00e9ponse.", "5 janv. 2024"),
    "Spanish": Language(
        ("El {d} a las {t}, {n} <{a}> escribi\u00f3:", "El {d} {t}, {n} escribi\u00f3:", "El vie, {d} a las {t}, {n} (<{a}>) escribi\u00f3:"),
        ("De", "Enviado", "Para", "Asunto"), "Mensaje original", "Mensaje reenviado",
        ("Enviado desde mi iPhone", "Obtener Outlook para Android", "Enviado desde mi tel\u00e9fono m\u00f3vil Samsung"),
        "Un saludo,", "S\u00ed, me parece bien.\nNos vemos el lunes.", "5 ene 2024"),
    "Portuguese": Language(
        ("Em {d} \u00e0s {t}, {n} <{a}> escreveu:", "Em {d} {t}, {n} escreveu:", "{n} <{a}> escreveu no dia {d} \u00e0s {t}:"),
        ("De", "Enviado", "Para", "Assunto"), "Mensagem original", "Mensagem encaminhada",
        ("Enviado do meu iPhone", "Obter o Outlook para iOS", "Enviado a partir do meu telem\u00f3vel"),
        "Atenciosamente,", "Sim, pode ser.\nAt\u00e9 amanh\u00e3.", "05/01/2024"),
    "Italian": Language(
        ("Il giorno {d} alle ore {t} {n} <{a}> ha scritto:", "Il {d} {t}, {n} ha scritto:", "In data {d} {t}, {n} <{a}> ha scritto:"),
        ("Da", "Inviato", "A", "Oggetto"), "Messaggio originale", "Messaggio inoltrato",
        ("Inviato da iPhone", "Ottieni Outlook per Android", "Inviato dal mio dispositivo Samsung"),
        "Cordiali saluti", "S\u00ec, va bene.\nA domani.", "5 gen 2024"),
    "Dutch": Language(
        ("Op {d} om {t} schreef {n} <{a}>:", "Op {d} {t} schreef {n}:", "{n} <{a}> schreef op {d} {t}:",
         "Op vr {d} om {t} schreef {n} <{a}>:"),
        ("Van", "Verzonden", "Aan", "Onderwerp"), "Oorspronkelijk bericht", "Doorgestuurd bericht",
        ("Verstuurd vanaf mijn iPhone", "Outlook voor Android downloaden", "Verzonden vanaf mijn Galaxy-telefoon"),
        "Met vriendelijke groet,", "Ja, dat is goed.\nTot morgen.", "5 jan. 2024"),
    "Polish": Language(
        ("Dnia {d} {t} {n} <{a}> napisa\u0142(a):", "pt., {d} o {t} {n} <{a}> napisa\u0142(a):", "W dniu {d} o {t}, {n} pisze:"),
        ("Od", "Wys\u0142ano", "Do", "Temat"), "Oryginalna wiadomo\u015b\u0107", "Przekazana wiadomo\u015b\u0107",
        ("Wys\u0142ane z iPhone'a", "Pobierz aplikacj\u0119 Outlook dla systemu Android", "Wys\u0142ano z mojego telefonu Samsung"),
        "Pozdrawiam", "Tak, pasuje mi.\nDo jutra.", "5 stycznia 2024"),
    "Swedish": Language(
        ("Den {d} kl. {t} skrev {n} <{a}>:", "Den fre {d} kl {t} skrev {n} <{a}>:", "{d} kl. {t} skrev {n} <{a}>:"),
        ("Fr\u00e5n", "Skickat", "Till", "\u00c4mne"), "Ursprungligt meddelande", "Vidarebefordrat meddelande",
        ("Skickat fr\u00e5n min iPhone", "H\u00e4mta Outlook f\u00f6r Android", "Skickat fr\u00e5n Outlook f\u00f6r iOS"),
        "Med v\u00e4nliga h\u00e4lsningar", "Ja, det g\u00e5r bra.\nVi ses i morgon.", "5 jan. 2024"),
    "Danish": Language(
        ("Den {d} kl. {t} skrev {n} <{a}>:", "Den fre. {d} kl. {t} skrev {n} <{a}>:"),
        ("Fra", "Sendt", "Til", "Emne"), "Oprindelig meddelelse", "Videresendt meddelelse",
        ("Sendt fra min iPhone", "Hent Outlook til Android", "Sendt fra min Samsung-telefon"),
        "Med venlig hilsen", "Ja, det er fint.\nVi ses i morgen.", "5. jan. 2024"),
    "Norwegian": Language(
        ("{d} kl. {t} skrev {n} <{a}>:", "fre. {d} kl. {t} skrev {n} <{a}>:", "Den {d} {t}, skrev {n}:"),
        ("Fra", "Sendt", "Til", "Emne"), "Opprinnelig melding", "Videresendt melding",
        ("Sendt fra min iPhone", "Skaff deg Outlook for Android", "Sendt fra Outlook for iOS"),
        "Med vennlig hilsen", "Ja, det passer.\nVi sees i morgen.", "5. jan. 2024"),
    "Finnish": Language(
        ("{n} <{a}> kirjoitti {d} kello {t}:", "pe {d} klo {t} {n} ({a}) kirjoitti:", "{d} {t}, {n} kirjoitti:"),
        ("L\u00e4hett\u00e4j\u00e4", "L\u00e4hetetty", "Vastaanottaja", "Aihe"), "Alkuper\u00e4inen viesti", "Edelleenl\u00e4hetetty viesti",
        ("L\u00e4hetetty iPhonesta", "Hanki Outlook Androidille", "L\u00e4hetetty Samsung Galaxy -puhelimesta"),
        "Yst\u00e4v\u00e4llisin terveisin", "Kyll\u00e4, se sopii.\nN\u00e4hd\u00e4\u00e4n huomenna.", "5.1.2024"),
    "Czech": Language(
        ("Dne {d} v {t} {n} <{a}> napsal(a):", "p\u00e1 {d} v {t} odes\u00edlatel {n} <{a}> napsal:", "Dne {d} {t}, {n} napsal:"),
        ("Od", "Odesl\u00e1no", "Komu", "P\u0159edm\u011bt"), "P\u016fvodn\u00ed zpr\u00e1va", "P\u0159eposlan\u00e1 zpr\u00e1va",
        ("Odesl\u00e1no z iPhonu", "Z\u00edskat Outlook pro Android", "Odesl\u00e1no z m\u00e9ho za\u0159\u00edzen\u00ed Samsung"),
        "S pozdravem", "Ano, hod\u00ed se mi to.\nUvid\u00edme se z\u00edtra.", "5. 1. 2024"),
    "Russian": Language(
        ("{d} \u0432 {t}, {n} <{a}> \u043d\u0430\u043f\u0438\u0441\u0430\u043b(\u0430):", "\u043f\u0442, {d} \u0433. \u0432 {t}, {n} <{a}>:", "{d} {t}, {n} \u043f\u0438\u0448\u0435\u0442:"),
        ("\u041e\u0442", "\u041e\u0442\u043f\u0440\u0430\u0432\u043b\u0435\u043d\u043e", "\u041a\u043e\u043c\u0443", "\u0422\u0435\u043c\u0430"),
        "\u0418\u0441\u0445\u043e\u0434\u043d\u043e\u0435 \u0441\u043e\u043e\u0431\u0449\u0435\u043d\u0438\u0435", "\u041f\u0435\u0440\u0435\u0441\u044b\u043b\u0430\u0435\u043c\u043e\u0435 \u0441\u043e\u043e\u0431\u0449\u0435\u043d\u0438\u0435",
        ("\u041e\u0442\u043f\u0440\u0430\u0432\u043b\u0435\u043d\u043e \u0441 iPhone", "\u041e\u0442\u043f\u0440\u0430\u0432\u043b\u0435\u043d\u043e \u0438\u0437 \u043c\u043e\u0431\u0438\u043b\u044c\u043d\u043e\u0439 \u041f\u043e\u0447\u0442\u044b Mail.ru"),
        "\u0421 \u0443\u0432\u0430\u0436\u0435\u043d\u0438\u0435\u043c,", "\u0414\u0430, \u044d\u0442\u043e \u043f\u043e\u0434\u0445\u043e\u0434\u0438\u0442.\n\u0414\u043e \u0437\u0430\u0432\u0442\u0440\u0430.", "5 \u044f\u043d\u0432. 2024"),
    "Ukrainian": Language(
        ("{d} \u043e {t} {n} <{a}> \u043f\u0438\u0448\u0435:", "\u043f\u0442, {d} \u0440. \u043e {t} {n} <{a}> \u043f\u0438\u0448\u0435:", "{d} {t}, {n} \u043d\u0430\u043f\u0438\u0441\u0430\u0432:"),
        ("\u0412\u0456\u0434", "\u041d\u0430\u0434\u0456\u0441\u043b\u0430\u043d\u043e", "\u041a\u043e\u043c\u0443", "\u0422\u0435\u043c\u0430"),
        "\u041e\u0440\u0438\u0433\u0456\u043d\u0430\u043b\u044c\u043d\u0435 \u043f\u043e\u0432\u0456\u0434\u043e\u043c\u043b\u0435\u043d\u043d\u044f", "\u041f\u0435\u0440\u0435\u0441\u043b\u0430\u043d\u0435 \u043f\u043e\u0432\u0456\u0434\u043e\u043c\u043b\u0435\u043d\u043d\u044f",
        ("\u041d\u0430\u0434\u0456\u0441\u043b\u0430\u043d\u043e \u0437 iPhone", "\u041d\u0430\u0434\u0456\u0441\u043b\u0430\u043d\u043e \u0437 \u043f\u0440\u0438\u0441\u0442\u0440\u043e\u044e Android"),
        "\u0417 \u043f\u043e\u0432\u0430\u0433\u043e\u044e,", "\u0422\u0430\u043a, \u0446\u0435 \u043c\u0435\u043d\u0456 \u043f\u0456\u0434\u0445\u043e\u0434\u0438\u0442\u044c.\n\u0414\u043e \u0437\u0430\u0432\u0442\u0440\u0430.", "05.01.2024"),
    "Chinese": Language(
        ("{n} <{a}> \u4e8e{d}\u5468\u4e94 {t}\u5199\u9053\uff1a", "\u5728 {d}\uff0c{t}\uff0c{n} <{a}> \u5199\u9053\uff1a", "{n} <{a}> \u65bc {d} {t} \u5beb\u9053\uff1a"),
        ("\u53d1\u4ef6\u4eba", "\u53d1\u9001\u65f6\u95f4", "\u6536\u4ef6\u4eba", "\u4e3b\u9898"), "\u539f\u59cb\u90ae\u4ef6", "\u8f6c\u53d1\u7684\u90ae\u4ef6",
        ("\u53d1\u81ea\u6211\u7684 iPhone", "\u83b7\u53d6 Outlook for Android", "\u53d1\u81ea\u6211\u7684\u624b\u673a"),
        "\u6b64\u81f4", "\u53ef\u4ee5\uff0c\u6ca1\u95ee\u9898\u3002\n\u660e\u5929\u89c1\u3002", "2024\u5e741\u67085\u65e5"),
    "Japanese": Language(
        ("{d}(\u91d1) {t} {n} <{a}>:", "{d} {t}\u3001{n} <{a}>\u306e\u30e1\u30fc\u30eb:", "{d} {t}\u3001{n} \u3055\u3093\u306f\u66f8\u304d\u307e\u3057\u305f\uff1a"),
        ("\u5dee\u51fa\u4eba", "\u9001\u4fe1\u65e5\u6642", "\u5b9b\u5148", "\u4ef6\u540d"), "\u5143\u306e\u30e1\u30c3\u30bb\u30fc\u30b8", "\u8ee2\u9001\u30e1\u30c3\u30bb\u30fc\u30b8",
        ("iPhone\u304b\u3089\u9001\u4fe1", "Outlook for iOS \u3092\u5165\u624b\u3059\u308b"),
        "\u656c\u5177", "\u306f\u3044\u3001\u5927\u4e08\u592b\u3067\u3059\u3002\n\u660e\u65e5\u304a\u4f1a\u3044\u3057\u307e\u3057\u3087\u3046\u3002", "2024\u5e741\u67085\u65e5"),
    "Korean": Language(
        ("{d} {t}, {n} <{a}>\ub2d8\uc774 \uc791\uc131:", "{d} \uc624\ud6c4 {t}, {n} <{a}> \uc791\uc131:"),
        ("\ubcf4\ub0b8 \uc0ac\ub78c", "\ubcf4\ub0b8 \ub0a0\uc9dc", "\ubc1b\ub294 \uc0ac\ub78c", "\uc81c\ubaa9"), "\uc6d0\ubcf8 \uba54\uc2dc\uc9c0", "\uc804\ub2ec\ub41c \uba54\uc77c",
        ("\ub098\uc758 iPhone\uc5d0\uc11c \ubcf4\ub0c4", "Android\uc6a9 Outlook \ub2e4\uc6b4\ub85c\ub4dc"),
        "\uac10\uc0ac\ud569\ub2c8\ub2e4.", "\ub124, \uc88b\uc2b5\ub2c8\ub2e4.\n\ub0b4\uc77c \ubd59\uc2b5\ub2c8\ub2e4.", "2024\ub144 1\uc6d4 5\uc77c"),
}  # fmt: skip
