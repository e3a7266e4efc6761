"""Phrases of mail programs around quoted text, in many languages: data, no code.

Words are in lower case and are compared so. English, German, French, Spanish, Portuguese, Italian,
Dutch, Polish, Swedish, Danish, Norwegian, Finnish, Czech, Russian, Ukrainian, Chinese, Japanese and
Korean are meant to be whole; what else is here was seen and did no harm.
"""

from __future__ import annotations

from typing import Final

OPENERS: Final = frozenset(
    {
        "am", "am:", "at", "czw", "d.", "den", "den,", "dia", "dn.", "dne", "dnia", "el", "el:",
        "em", "il", "in", "ke", "ke:", "la", "le", "le:", "lo", "ma", "na", "ne", "niedz.", "no",
        "on", "on,", "op", "op:", "pe", "pn", "po", "pt", "pá", "so", "sob", "st", "ti", "to", "um",
        "v", "von:", "w", "wt", "út", "čt", "śr", "в", "у", "在", "на", "dana", "în", "vào", "pada",
        "στις", "เมื่อ", "dňa", "þann", "kuupäev", "o", "في", "excerpts",
    }
)  # fmt: skip
"""Words that an attribution begins with, where it does not begin with a date or a name."""

VERBS: Final = (
    "wrote", "writes", "schrieb", "hat geschrieben", "a écrit", "a ecrit", "écrit", "escribió",
    "escribio", "ha escrito", "escribe", "ha scritto", "scrisse", "escreveu", "schreef",
    "heeft geschreven", "geschreven", "napisał", "napisał(a)", "napisała", "napisal", "napisal(a)",
    "pisze", "skrev", "har skrevet", "har skrivit", "kirjoitti", "kirjoittaa", "napsal",
    "napsal(a)", "napsala", "napsal/a", "napísal", "napísala", "napísal(a)", "написал", "написала",
    "написал(а)", "пишет", "писал", "писала", "писал(а)", "написав", "написав(ла)", "написав/ла",
    "пише", "写道", "寫道", "写到", "寫了", "のメール", "が書きました", "さんは書きました",
    "書きました", "は書きました", "님이 작성", "작성", "이 작성함", "님이 씀", "yazdı", "a scris",
    "írta", "ezt írta", "έγραψε", "viết", "menulis", "a scrit", "said", "geschrieben",
    "folgendes geschrieben", "escribiu", "va escriure", "napisao", "napisala", "napisao/la",
    "napisao je", "napisala je", "написао", "написао/ла", "написао је", "написала је", "написа",
    "напиша", "rašė", "parašė", "rakstīja", "kirjutas", "skrifaði", "เขียนว่า", "เขียน", "ने लिखा",
    "כתב", "כתבה", "كتب", "كتبت", "نوشت", "تمت كتابة ما يلي بواسطة", "message of",
)  # fmt: skip
"""Verbs of an attribution. Some stand at its end, some before the name."""

MESSAGES_OF: Final = (
    "missatge de", "mensaje de", "messaggio di", "message de", "mensagem de", "nachricht von",
    "zitat von", "wiadomość napisana przez", "quoting", "citando", "citando a",
)  # fmt: skip
"""Words before the name in an attribution without a verb."""

PRONOUNS: Final = (
    "i", "we", "you", "they", "he", "she", "who", "it", "ich", "wir", "du", "er", "sie", "je",
    "j'ai", "tu", "il", "elle", "yo", "eu", "io", "ik", "wij", "jag", "jeg", "minä", "я", "мы",
    "ми", "він", "он", "она", "that", "which", "people", "someone", "somebody",
)  # fmt: skip
"""With one of these before the verb it is a sentence, not an attribution."""

FROM: Final = (
    "from", "von", "de", "da", "van", "od", "från", "fra", "lähettäjä", "от", "от кого", "від",
    "发件人", "寄件者", "寄件人", "發件人", "差出人", "送信者", "보낸 사람", "보낸사람", "보낸이",
    "expéditeur", "absender", "remitente", "mittente", "remetente", "afzender", "nadawca",
    "avsändare", "afsender", "avsender", "odesílatel", "отправитель", "відправник", "kimden",
    "feladó", "from (sender)", "από", "de la", "expeditor", "šalje", "pošiljatelj", "шаље",
    "пошиљалац", "nuo", "no", "saatja", "từ", "dari", "จาก", "מאת", "من", "remitent", "gönderen",
)  # fmt: skip
SENT: Final = (
    "sent", "date", "sent on", "gesendet", "datum", "gesendet am", "envoyé", "envoyé le", "enviado",
    "enviado el", "enviado em", "enviada em", "enviada", "fecha", "data", "data de envio",
    "inviato", "verzonden", "verzonden op", "wysłano", "wysłane", "skickat", "sendt", "dato",
    "lähetetty", "päivämäärä", "päiväys", "odesláno", "отправлено", "дата", "надіслано", "发送时间",
    "日期", "傳送時間", "寄件日期", "時間", "发送日期", "時间", "时间", "送信日時", "日時", "日付",
    "보낸 날짜", "날짜", "보낸날짜", "gönderildi", "elküldve", "když", "kiedy", "quando", "wann",
    "στάλθηκε", "αποστολή", "ημερομηνία", "trimis", "trimis la", "data trimiterii", "изпратено",
    "изпратен на", "poslano", "послато", "odoslané", "dátum", "dňa", "tarih", "gönderilme tarihi",
    "enviat", "išsiųsta", "nosūtīts", "saadetud", "kuupäev", "đã gửi", "ngày", "dikirim", "tanggal",
    "ส่ง", "วันที่", "נשלח", "תאריך", "تم الإرسال", "تاريخ الإرسال", "التاريخ",
)  # fmt: skip
TO: Final = (
    "to", "an", "à", "a", "para", "destinataire", "aan", "do", "till", "til", "vastaanottaja",
    "komu", "кому", "收件人", "收件者", "宛先", "받는 사람", "받는사람", "수신", "destinatario",
    "destinatário", "empfänger", "ontvanger", "adresat", "pro", "kime", "címzett", "προς", "către",
    "catre", "до", "prima", "za", "коме", "kam", "saaja", "adressaat", "đến", "tới", "kepada",
    "ถึง", "אל", "إلى", "per a",
)  # fmt: skip
CC: Final = (
    "cc", "cc:", "bcc", "kopie", "kopia", "copie", "copie à", "cópia", "kopi", "kopio", "dw", "udw",
    "копия", "копія", "抄送", "副本", "참조", "reply-to", "reply to", "antwort an", "répondre à",
    "responder a", "rispondi a", "organization", "importance", "wichtigkeit", "priorität",
    "priority", "attachments", "anlagen", "anhänge", "pièces jointes", "resent-from", "wichtig",
    "svar til", "κοιν.", "κοινοποίηση", "in copie", "kopija", "копие",
)  # fmt: skip
SUBJECT: Final = (
    "subject", "betreff", "objet", "asunto", "assunto", "oggetto", "onderwerp", "temat", "ämne",
    "emne", "aihe", "předmět", "predmet", "тема", "主题", "主題", "主旨", "件名", "제목", "konu",
    "tárgy", "sujet", "betr", "re", "θέμα", "subiect", "относно", "zadeva", "наслов", "предмет",
    "assumpte", "tēma", "teema", "chủ đề", "subjek", "perihal", "เรื่อง", "נושא", "الموضوع",
)  # fmt: skip

ORIGINAL: Final = (
    "mail original", "ursprüngliche mail", "urspr. mail", "původní mail", "исходное письмо",
    "alkuperäinen sähköposti", "oorspronkelijke e-mail", "ursprungligt e-postmeddelande",
    "original message", "original email", "original mail", "original", "reply message",
    "ursprüngliche nachricht", "originalnachricht", "originalmail", "original-nachricht",
    "ursprungliche nachricht", "ursprüngliche e-mail", "message d'origine", "message d’origine",
    "message original", "courrier original", "mensaje original", "mensagem original",
    "messaggio originale", "messaggio original", "oorspronkelijk bericht",
    "oorspronkelijke bericht", "origineel bericht", "wiadomość oryginalna", "oryginalna wiadomość",
    "ursprungligt meddelande", "originalmeddelande", "ursprungligt mail", "oprindelig meddelelse",
    "oprindelig besked", "original meddelelse", "opprinnelig melding", "original melding",
    "opprinnelig e-post", "alkuperäinen viesti", "původní zpráva", "původní e-mail",
    "pôvodná správa", "исходное сообщение", "оригинальное сообщение", "пересылаемое сообщение от",
    "вихідне повідомлення", "оригінальне повідомлення", "початкове повідомлення", "原始邮件",
    "原始郵件", "原邮件", "原始信件", "邮件原件", "元のメッセージ", "オリジナルメッセージ",
    "원본 메시지", "원본 메일", "원본메세지", "원본 이메일", "orijinal mesaj", "eredeti üzenet",
)  # fmt: skip
"""Lines between rules above the message that is answered."""

ORIGINAL_STARTS: Final = (
    "original message processed by", "originalnachricht verarbeitet von",
)  # fmt: skip
"""Beginnings of such a line that need neither rules around it nor a field below it."""

FORWARDED: Final = (
    "forwarded", "weitergeleitet", "transféré", "transfere", "réexpédié", "reenviado", "encaminhad",
    "reencaminhad", "inoltrat", "doorgestuurd", "przekazan", "przekazywan", "vidarebefordra",
    "videresend", "edelleenlähete", "välitet", "přepos", "předávan", "preposl", "пересыла",
    "пересила", "переслан", "перенаправл", "переадрес", "转发", "轉寄", "轉發", "転送", "전달",
    "iletil", "yönlendiril", "înaintat", "továbbít", "προωθ", "redirecționat", "препрат",
    "proslijeđen", "прослеђен", "reenviat",
    "chuyển tiếp", "diteruskan", "ส่งต่อ", "הועבר", "معاد توجيه",
)  # fmt: skip
"""Words in the line above a message that is passed on, which is the content of this one."""

FORWARD_SUBJECTS: Final = (
    "fwd", "fw", "wg", "tr", "rv", "reenv", "enc", "res enc", "i", "doorst", "pd", "vb", "vs", "vl",
    "fs", "videresend", "přep", "přeposláno", "пересл", "reenc", "inoltra", "tov", "ilt", "πρθ",
    "转发", "轉寄", "轉發", "転送", "전달",
)  # fmt: skip
"""Prefixes of the subject of a message that is passed on; ``i`` is Italian, ``tr`` French."""

SENT_FROM: Final = (
    "sent from", "sent via", "sent with", "sent using", "typed with thumbs", "get bluemail for",
    "get outlook for", "download outlook for", "von meinem", "gesendet von", "gesendet mit",
    "gesendet über", "diese nachricht wurde von meinem", "gesendet von unterwegs",
    "diese nachricht wurde mit", "von unterwegs gesendet", "holen sie sich outlook", "outlook für",
    "envoyé de", "envoyé depuis", "envoyé à partir de", "envoyé avec", "envoyé via",
    "télécharger outlook", "obtenez outlook pour", "provenance : courrier", "enviado desde",
    "enviado con", "enviado mediante", "obtener outlook para", "enviado do", "enviado de",
    "enviado a partir do", "enviado a partir de", "enviado pelo", "enviado via", "enviado através",
    "obter o outlook", "inviato da", "inviato dal", "inviato con", "inviato tramite",
    "ottieni outlook per", "scarica outlook", "verzonden vanaf", "verzonden met", "verstuurd vanaf",
    "verstuurd met", "verzonden via", "outlook downloaden", "outlook voor", "wysłane z",
    "wysłano z", "wysłane przez", "pobierz outlook", "pobierz program outlook", "skickat från",
    "skickat med", "skickades från", "hämta outlook", "sendt fra", "sendt med", "sendt via",
    "hent outlook", "få outlook", "skaff outlook", "lähetetty", "hanki outlook", "odesláno z",
    "odesláno ze", "odesláno pomocí", "získat outlook", "stáhnout outlook", "отправлено с",
    "отправлено из", "отправлено через", "скачать outlook", "загрузить outlook", "надіслано з",
    "надіслано із", "відправлено з", "надіслано через", "отримати outlook", "发自我的", "发自",
    "發自我的", "從我的", "从我的", "來自", "获取", "下載", "取得", "傳送自", "发送自", "寄自",
    "iphoneから送信", "ipadから送信", "から送信", "outlook for", "나의", "내", "에서 보냄",
    "보낸 메일", "gmail 모바일", "androidから", "poslano z", "trimis de pe",
    "iphone'umdan gönderildi", "gönderildi", "küldve", "elküldve", "poslané z", "odoslané z",
    "poslano s", "изпратено от", "στάλθηκε από", "dikirim dari", "gửi từ", "yahoo mail:",
    "yahoo mail :", "נשלח מ", "أرسلت من", "أُرسلت من", "ส่งจาก", "đã gửi từ", "trimis din",
    "enviat des de",
)  # fmt: skip
"""Beginnings of the line that a mail program adds by itself, or words in it."""

DEVICES: Final = (
    "iphone", "ipad", "ipod", "apple watch", "mac", "android", "samsung", "galaxy", "huawei",
    "xiaomi", "redmi", "pixel", "nokia", "blackberry", "windows", "outlook", "phone", "mobile",
    "handy", "smartphone", "mobil", "tablet", "telefon", "telemóvel", "móvil", "celular",
    "kännykästä", "téléphone", "teléfono", "telefone", "puhelin", "telefoon", "yahoo", "aol",
    "gmail", "gmx", "web.de", "mail.ru", "yandex", "protonmail", "proton mail", "proton", "zoho",
    "typeapp", "bluemail", "blue mail", "spark", "superhuman", "airmail", "mailbird", "thunderbird",
    "sparrow", "mailspring", "hey", "fastmail", "tutanota", "tuta", "k-9", "k9", "fairemail",
    "postbox", "em client", "nine", "newton", "edison", "front", "missive", "foxmail", "qq", "网易",
    "163", "手机", "手機", "邮箱", "電話", "スマートフォン", "휴대전화", "스마트폰", "телефон",
    "смартфон", "планшет", "мобильн", "мобільн", "почты", "пошти", "почта", "wireless", "verizon",
    "t-mobile", "orange", "libero", "free.fr", "laposte", "courrier", "correo", "posta", "mail",
    "app", "device", "gerät", "appareil", "dispositivo", "apparaat", "urządzenia", "laitteesta",
    "puhelimesta", "shortwave", "unterwegs", "thumbs", "메일앱", "iphonesta", "ipadista",
    "androidista", "aplikac", "iphonea", "iphonu", "iphonen", "iphonem", "ipadu",
)  # fmt: skip
"""Words of which that line has at least one."""

EXCUSES: Final = (
    "excuse", "typo", "brevity", "brief", "forgive", "sorry", "apolog", "autocorrect", "spelling",
    "thumb", "kürze", "tippfehler", "rechtschreib", "entschuldig", "autokorrektur", "fautes",
    "brièveté", "disculp", "perdon", "errores", "desculp", "erros", "errori", "scus", "typefout",
    "beknopt", "kort", "get the app",
)  # fmt: skip
"""Words of the sentence that some people put behind that line."""

REPLY_ABOVE: Final = (
    "reply above this line", "type your reply above", "write above this line", "above this line -",
    "do not write below this line", "above this line to reply", "antwort über dieser zeile",
    "über dieser zeile antworten", "oberhalb dieser zeile", "au-dessus de cette ligne",
    "por encima de esta línea", "encima de esta línea", "acima desta linha", "boven deze lijn",
    "boven deze regel", "sopra questa riga", "powyżej tej linii", "ovanför den här raden",
)  # fmt: skip
"""Words that a help desk writes above the whole history."""

LEAD_IN_ENDS: Final = (
    "to", "for", "at", "is", "are", "an", "für", "auf", "lautet", "ist", "sind", "lauten", "à",
    "pour", "est", "sont", "chez", "a", "para", "es", "son", "é", "são", "per", "è", "sono", "naar",
    "voor", "aan", "do", "dla", "na", "to jest", "till", "til", "för", "är", "er", "pro", "pre",
    "на", "для", "по", "до", "this", "these", "these people", "here", "diese", "dieser", "hier",
    "ceci", "ici", "esto", "estos", "estes", "questo", "questi", "deze",
)  # fmt: skip
"""Last words of a sentence that continues below it."""

LEAD_INS: Final = (
    "address", "account", "iban", "invoice", "passenger", "traveller", "traveler", "guest",
    "details", "following", "as follows", "below", "deliver", "ship", "send it to", "send them to",
    "contact", "phone number", "number is", "name is", "names are", "recipient", "beneficiary",
    "book for", "register", "adresse", "anschrift", "konto", "rechnung", "folgende", "unten",
    "lieferung", "kontakt", "daten", "coordonn", "compte", "facture", "suivant", "ci-dessous",
    "livr", "passager", "voyageur", "dirección", "direccion", "cuenta", "factura", "siguiente",
    "pasajero", "envíe", "datos", "endereço", "conta", "fatura", "seguinte", "passageiro", "dados",
    "indirizzo", "conto", "fattura", "seguente", "passeggero", "dati", "adres", "rekening",
    "factuur", "volgende", "gegevens", "faktur", "następując", "dane", "adress", "följande",
    "uppgifter", "følgende", "oplysninger", "osoite", "lasku", "seuraav", "tiedot", "faktura",
    "následující", "údaje", "адрес", "счёт", "счет", "следующ", "данные", "рахунок", "адреса",
    "наступн", "дані", "地址", "账号", "帳號", "账户", "发票", "如下", "住所", "口座", "請求",
    "以下", "宛先", "주소", "계좌", "아래", "청구",
)  # fmt: skip
"""Words of a sentence that introduces a person's data: the lines below it are not a signature."""

CLOSINGS: Final = (
    "cheers", "warmly", "talk soon", "take care", "best regards", "kind regards", "kindest regards",
    "warm regards", "warmest regards", "regards", "with kind regards", "with best regards",
    "with regards", "many regards", "best wishes", "with best wishes", "all the best",
    "yours sincerely", "sincerely", "sincerely yours", "yours faithfully", "yours truly",
    "respectfully", "cordially", "best", "br", "rgds", "kr", "mit freundlichen grüßen",
    "mit freundlichen grüssen", "mit freundlichen gruessen", "mit freundlichem gruß",
    "mit freundlichem gruss", "freundliche grüße", "freundliche grüsse", "viele grüße",
    "viele grüsse", "viele gruesse", "beste grüße", "beste grüsse", "schöne grüße", "schönen gruß",
    "schönen gruss", "liebe grüße", "liebe grüsse", "herzliche grüße", "mit besten grüßen",
    "mit herzlichen grüßen", "herzliche grüsse", "gruß", "gruss", "grüße", "grüsse", "lg", "vg",
    "mfg", "hochachtungsvoll", "cordialement", "bien cordialement", "très cordialement",
    "bien à vous", "bien à toi", "salutations", "belle journée", "bonne journée", "bonne soirée",
    "sincères salutations", "meilleures salutations", "amicalement", "cdt", "cdlt", "sincèrement",
    "respectueusement", "avec mes meilleures salutations", "saludos", "un saludo",
    "saludos cordiales", "cordiales saludos", "un cordial saludo", "atentamente", "atte",
    "un abrazo", "cordialmente", "reciba un cordial saludo", "muy atentamente", "atenciosamente",
    "att", "cumprimentos", "melhores cumprimentos", "com os melhores cumprimentos", "saudações",
    "abraço", "abraços", "um abraço", "cordiais saudações", "cordiali saluti", "distinti saluti",
    "saluti", "un saluto", "un cordiale saluto", "i migliori saluti", "cari saluti",
    "buona giornata", "met vriendelijke groet", "met vriendelijke groeten", "vriendelijke groet",
    "vriendelijke groeten", "groet", "groeten", "hartelijke groet", "mvg", "hoogachtend",
    "met hartelijke groet", "pozdrawiam", "z poważaniem", "serdecznie pozdrawiam",
    "pozdrawiam serdecznie", "z wyrazami szacunku", "pozdrowienia", "łączę pozdrowienia",
    "med vänliga hälsningar", "med vänlig hälsning", "vänliga hälsningar", "vänlig hälsning",
    "hälsningar", "mvh", "bästa hälsningar", "hälsar", "vänligen", "med venlig hilsen",
    "venlig hilsen", "mange hilsner", "de bedste hilsner", "hilsen", "bedste hilsner",
    "med venlige hilsner", "vh", "med vennlig hilsen", "vennlig hilsen", "beste hilsen",
    "med hilsen", "vennlige hilsener", "ystävällisin terveisin", "terveisin", "parhain terveisin",
    "yst. terv.", "yst.terv.", "terv.", "terv", "t.", "kunnioittavasti", "terveiset", "s pozdravem",
    "s přátelským pozdravem", "s úctou", "pozdrav", "zdraví", "s pozdravom", "hezký den",
    "přeji hezký den", "с уважением", "с наилучшими пожеланиями", "всего доброго", "с наилучшими",
    "искренне ваш", "всего хорошего", "з повагою", "з найкращими побажаннями", "з найкращими",
    "щиро ваш", "всього найкращого", "此致", "此致敬礼", "祝好", "顺祝商祺", "敬祝", "敬上", "致敬",
    "谨上", "謹上", "順頌商祺", "祝商祺", "祝工作顺利", "敬具", "よろしくお願いします",
    "よろしくお願いいたします", "よろしくお願い致します", "以上、よろしくお願いいたします",
    "με εκτίμηση", "φιλικά", "με φιλικούς χαιρετισμούς", "χαιρετισμούς", "cu stimă", "cu respect",
    "toate cele bune", "o zi bună", "numai bine", "üdvözlettel", "tisztelettel", "üdv",
    "szép napot", "saygılarımla", "saygılarımızla", "iyi çalışmalar", "sevgiler", "selamlar",
    "srdačan pozdrav", "lijep pozdrav", "lep pozdrav", "s poštovanjem", "с уважение", "поздрави",
    "בברכה", "בכבוד רב", "תודה ובברכה", "مع أطيب التحيات", "مع التحية", "تحياتي",
    "مع خالص التحية", "وتفضلوا بقبول فائق الاحترام",
    "何卒よろしくお願いいたします", "감사합니다", "드림", "올림", "감사드립니다", "안녕히 계세요",
)  # fmt: skip
"""Closings: the line above the sender's name at the end of a message."""

THANKS: Final = (
    "thanks", "thank you", "many thanks", "thanks and regards", "thanks & regards",
    "thanks in advance", "thx", "danke", "vielen dank", "vielen dank im voraus", "besten dank",
    "herzlichen dank", "merci", "merci d'avance", "merci beaucoup", "gracias", "muchas gracias",
    "obrigado", "obrigada", "muito obrigado", "grazie", "grazie mille", "bedankt", "alvast bedankt",
    "dank je", "dziękuję", "z góry dziękuję", "dzięki", "tack", "tack på förhand", "tak",
    "mange tak", "på forhånd tak", "takk", "mange takk", "kiitos", "kiitos etukäteen", "děkuji",
    "díky", "děkuji předem", "спасибо", "заранее спасибо", "дякую", "谢谢", "謝謝",
    "ありがとうございます", "ありがとうございました", "고맙습니다", "감사합니다",
)  # fmt: skip
"""Thanks say something: closings only above a name with an address or telephone number."""
