"""The phrases by which models decline or say that they saw nothing, language by language.

Regular expressions for `refusals.py`, each matched at the beginning of a sentence in lower or upper
case. Collected from answers of chat models and from how each language says the same; a gap is
bounded, so that a match takes no longer than its text. Lines are long: one a phrase.
"""

# ruff: noqa: E501, RUF001

from __future__ import annotations

WRITTEN_IN_THE_PICTURE = (
    r"\b(?:is|are|was|were|has been) (?:\w+ )?(?:written|printed|painted|carved|embroidered|stencill?ed)\b"
    r"|\b(?:reads?|says?|sign|mug|t-shirt|banner|poster)\b.{0,40}"
    r"\b(?:on|in|hangs?|stands?|above|below|beside) (?:a|an|the)\b"
    r"|\b(?:steht|geschrieben|gedruckt) (?:auf|an|in) (?:eine|de)|\b(?:écrit|inscrit|imprimé)e?s? sur\b"
    r"|\b(?:escrit|impres)[oa]s? (?:en|num|na|no)\b|\b(?:scritt|stampat)[oa] s[ou]|\bнаписано на\b"
    r"|写在|写着|と書かれ|と書いて"
)
"""What marks a sentence as about words on a sign or a shirt, wherever it stands in it."""

LEADS = (
    # English
    r"hello|hi(?: there)?|hey|thanks?(?: you)?[^,.!]{0,50}|unfortunately|regrettably|sadly|but|"
    r"however|well|ok(?:ay)?|sure|at this time|currently|at the moment|right now|apparently|"
    r"(?:i'm|i am|we're|we are)? ?(?:so |very |truly |really |deeply )?sorry"
    r"(?: (?:for|about|to say)[^,.!]{0,50})?|my apologies|apologies(?: for[^,.!]{0,40})?|"
    r"(?:i|we) (?:sincerely )?apologi[sz]e(?: for[^,.!]{0,50})?|i'?m afraid(?: that)?|i am afraid|"
    r"as an? (?:[\w-]+ ){0,3}(?:ai|assistant|model|llm)\b[^,.]{0,30}|i (?:understand|appreciate)"
    r"[^,.]{0,60}|it (?:looks|seems|appears)(?: like| that| as if| as though)?|"
    r"(?:due to|for|because of) [^,.]{0,15}(?:privacy|safety|ethical|policy|legal)[^,.]{0,40}|"
    r"i(?:'d| would) (?:be (?:happy|glad) to|love to|like to|want to) (?:help|assist)[^,.]{0,40}|"
    r"i(?:'m| am) (?:happy|glad|here) to (?:help|assist)[^,.]{0,40}|"
    r"please note that|note that|i regret that|i must inform you that|i regret to inform you that|"
    r"(?:based on|in|with) (?:your|this) (?:message|conversation|chat)|"
    # German
    r"als (?:ein(?:e|em|er)? )?(?:reine?[srm]? )?(?:ki|sprachmodell|textmodell|künstliche)[\w-]*(?: \w+modell)?|"
    r"hallo|leider|entschuldig(?:ung|en sie(?: bitte)?|e)|(?:es )?tut mir (?:sehr |wirklich )?leid|"
    r"(?:es )?tut uns leid|verzeihung|verzeihen sie|ich bedau(?:e)?re|bedauerlicherweise|aber|"
    r"anscheinend|offenbar|derzeit|danke[^,.!]{0,40}|aus [^,.]{0,20}gründen|"
    r"es (?:scheint|sieht so aus|sieht aus)(?:,? (?:als ob|als|dass))?|"
    # French
    r"bonjour|je regrette|je suis navrée?|navrée?|(?:avec )?toutes mes excuses|malheureusement|hélas|désolée?s?|(?:je suis|nous sommes) (?:vraiment |sincèrement )?"
    r"désolée?s?|je (?:vous prie de m'excuser|m'excuse)|excusez-moi|toutes mes excuses|pardon|mais|"
    r"je crains que|il (?:semble|semblerait)(?: bien)? qu(?:e |')|en tant qu[^,.]{1,60}|"
    r"merci[^,.!]{0,40}|pour des raisons [^,.]{1,40}|on dirait qu(?:e |')|"
    # Spanish and Portuguese
    r"hola|lo siento(?: mucho)?|lo lamento|lamento(?: (?:decir|informar)\w* que)?|perdón|"
    r"disculp[ae](?:me)?|desafortunadamente|lamentablemente|por desgracia|pero|me temo que|"
    r"parece (?:ser )?que|como (?:una? )?(?:ia|modelo|inteligencia|asistente|inteligência)[^,.]{0,50}|"
    r"gracias[^,.!]{0,40}|por (?:razones|motivos|razões) [^,.]{1,40}|"
    r"olá|oi|desculp(?:e|a|em)(?:-me)?|(?:eu )?(?:sinto|lamento) muito|lamento|infelizmente|mas|porém|"
    r"peço desculpas?|me desculpe|perdão|obrigad[oa][^,.!]{0,40}|"
    # Italian
    r"ciao|buongiorno|(?:mi|ci) (?:dispiace|spiace)(?: molto)?|(?:sono )?spiacente|scusa(?:mi|te)?|"
    r"mi scus[oi]|purtroppo|ma|però|temo che|sembra che|pare che|in quanto [^,.]{1,50}|"
    r"come (?:modello|intelligenza|assistente|ia)\b[^,.]{0,40}|grazie[^,.!]{0,40}|"
    # Dutch, Swedish, Danish, Norwegian
    r"helaas|sorry|het spijt (?:me|mij|ons)|excuses|maar|het lijkt erop dat|als [^,.]{0,20}"
    r"(?:taalmodel|ai)[^,.]{0,20}|"
    r"hej|hei|tyvärr|dessverre|desværre|beklager|(?:jag|jeg) (?:är|er) ledsen|"
    r"jag beklagar|förlåt|ursäkta|men|undskyld|det (?:verkar|ser ut)(?: som)?(?: att| om)?|"
    # Polish, Czech
    r"niestety|przepraszam|przykro mi|wybacz|ale|wygląda na to,? że|jako [^,.]{1,40}|"
    r"omlouvám se|bohužel|je mi líto|promiňte|lituji|zdá se,? že|"
    # Russian, Ukrainian
    r"здравствуйте|привет|извини(?:те)?|прости(?:те)?|к сожалению|(?:мне )?(?:очень )?жаль|"
    r"прошу прощения|приношу (?:свои )?извинения|сожалею|но|похоже,?(?: что)?|кажется,?(?: что)?|"
    r"как (?:ии|искусственный|языковая|модель)[^,.]{0,40}|спасибо[^,.!]{0,40}|видимо|"
    r"на жаль|вибачте|перепрошую|мені (?:дуже )?шкода|але|схоже,?(?: що)?|"
    # Turkish
    r"merhaba|üzgünüm|maalesef|ne yazık ki|özür dilerim|kusura bakmayın|ama|ancak|fakat|"
    r"bir yapay zek[aâ][^,.]{0,30}|görünüşe göre|"
    # Greek, Vietnamese, Thai, Indonesian, Hungarian, Romanian, Finnish, Hebrew
    r"λυπάμαι(?: πολύ)?|συγγνώμη|ζητώ συγγνώμη|δυστυχώς|αλλά|όμως|ως [^,.]{0,20}(?:μοντέλο|νοημοσύνη)|"
    r"(?:tôi )?(?:thành thật |rất )?xin lỗi(?: bạn)?|rất tiếc|tiếc là|nhưng|với tư cách[^,.]{1,40}|"
    r"ขออภัย(?:ค่ะ|ครับ|ด้วย)?|ขอโทษ(?:ค่ะ|ครับ|ด้วย)?|น่าเสียดาย|แต่|"
    r"(?:mohon )?maaf(?:kan)?|sayangnya|namun|tetapi|tapi|sebagai [^,.]{1,40}|"
    r"sajnálom|sajnos|elnézést|bocsánat|azonban|de|mint [^,.]{1,40}|"
    r"(?:îmi|ne) pare (?:foarte )?rău|din păcate|scuze|dar|însă|ca model [^,.]{1,40}|"
    r"valitettavasti|pahoittelen|anteeksi|olen pahoillani|mutta|"
    r"(?:אני )?מצטער(?:ת)?|סליחה|לצערי|אבל|אך|"
    # Arabic, Hindi
    r"عذر[اً]{1,2}|آسف|أنا آسف|نأسف|للأسف|مع الأسف|أعتذر|معذرة|لكن|ولكن|لكنني|يبدو أن|"
    r"क्षमा करें|माफ़? ?करें|माफ़ कीजिए|मुझे खेद है|खेद है(?: कि)?|दुर्भाग्य से|लेकिन|"
    # Chinese, Japanese, Korean
    r"(?:非常|很|实在|十分)?(?:抱歉|遗憾|遺憾)|对不起|對不起|不好意思|您好|你好|遗憾的是|但是?|不过|"
    r"作为[^，。]{1,24}|作為[^，。]{1,24}|看起来|看來|似乎|目前|感谢[^，。]{0,20}|"
    r"(?:大変|誠に)?申し訳(?:ございません|ありません|ないです)?(?:が|けど|けれど)?|"
    r"すみません(?:が)?|ごめんなさい|恐れ入りますが|恐縮ですが|残念ながら|こんにちは|"
    r"(?:私は)?(?:ai|言語モデル|人工知能)[^、。]{0,16}|"
    r"죄송(?:합니다|하지만|해요)(?:만)?|미안(?:합니다|하지만|해요)(?:만)?|안타깝게도|유감스럽게도|"
    r"안녕하세요|하지만|그러나|저는 (?:ai|인공지능|언어 모델)[^,.]{0,20}"
)

_IMAGE = r"(?:image|photo|photograph|picture|attachment|file|pic)s?\b"
_EN_NOT = (
    r"(?:i|we)(?: am|'m)?(?: afraid(?: that)? i)?(?: really| simply| just| also| still| therefore)*"
    r"(?: can(?:no|')t| can not| could(?: not|n't)| am not able to|(?: am| are)? ?unable to| not able to"
    r"|(?: will not|won't| won't| will)(?: not)?(?: be able to)?| not (?:allowed|permitted|comfortable|"
    r"equipped|designed|in a position)(?: to| with)?| don't feel comfortable| do not feel comfortable"
    r"| must(?: respectfully)? (?:decline|refuse)| have to (?:decline|refuse)|'d rather not"
    r"| would rather not| prefer not to| (?:do not|don't|lack)(?: have)? the (?:ability|capability|tools))"
)
_EN_TASK = (
    r"(?:help(?! (?:it\b|but\b|myself|ourselves|\w+ing\b))|assist|descri(?!be how)|caption|comply|fulfil|provid"
    r"|process|analy[sz]|identif|recogni|discuss|continu|generat|creat|answer|respond|engag|comment"
    r"|do (?:that|this|so)\b|offer|interpret|produce|write|transcrib|summari[sz]|complete|proceed|make (?:any )?"
    r"(?:assumption|inference|judg)|give (?:you )?(?:a|any)|tag |support|participat|share (?:any )?(?:info|detail))"
)
_EN_POLICY = r"(?:polic|guideline|rules\b|terms|standards|principles|programming)"

REFUSED = (
    rf"{_EN_NOT}(?:[^.:]{{0,60}}\b{_EN_TASK}|\W*$)",
    r"(?:sorry,? )?(?:i|we) (?:can't|cannot|won't|decline|refuse)(?: to (?:do|answer|describe|caption)"
    r"[^.]{0,60})?\W*$",
    rf"(?:unable|not able|failed|cannot|can't|could not|couldn't)(?: to)? (?:{_EN_TASK})",
    rf"(?:this|that|the|your) (?:request|prompt|query|content|image|photo|picture|caption|task)[^.:]{{0,50}}"
    rf"(?:(?:violat|goes against|go against|is against|conflict|breach)[^.:]{{0,40}}{_EN_POLICY}"
    r"|(?:was|has been|is|were) (?:flagged|rejected|blocked|filtered|declined|refused) (?:by|because|due|as|for)"
    r"|(?:cannot|can't|could not|couldn't) be (?:described|processed|captioned|analy[sz]ed|completed|fulfilled|"
    r"provided|displayed|generated)"
    r"|(?:i|we) (?:can't|cannot|'m unable|am unable|'m not able|am not able|won't)\b"
    r"|(?:is not|isn't) something (?:that )?i\b)",
    r"(?:that's|that is|it's|it is|this is|describing|identifying|captioning)[^.:]{0,40}"
    rf"(?:(?:not|n't) (?:something|possible for me|appropriate|allowed)|against (?:my|our|the) [^.]{{0,30}}{_EN_POLICY})",
    rf"(?:my|our) [^.:]{{0,30}}{_EN_POLICY}[^.:]{{0,40}}(?:not|n't|prevent|prohibit|forbid|restrict)",
    rf"(?:content|safety|usage) (?:{_EN_POLICY}|filter)\w* (?:violation|triggered|blocked)",
    r"(?:caption|description|title|summary|content|answer) (?:is )?(?:not available|unavailable|not possible|"
    r"withheld|redacted|refused|cannot be provided)\W*$",
    r"(?:n/a|null|undefined|no caption|no description|\[image\]|<image>)\W*$",
    r"(?:no|not) (?:caption|description|comment) (?:available|possible|can be (?:given|provided))\W*$",
    r"(?:request|refusal|response) (?:denied|declined|refused|rejected|blocked)\W*$",
    # German
    r"(?:(?:dabei|damit|hierbei|hiermit|dazu|das|so etwas|derzeit|bei [^,.:]{1,30}|(?:dieses|diese|dieser|diesem)"
    r" (?:bild|foto|anfrage|inhalt|wunsch|bitte)e?s?|als [^,.:]{1,30}) )?(?:leider )?"
    r"(?:(?:ich|wir) )?(?:kann|darf|könnte|werde|möchte|können|dürfen) (?:ich |wir )?(?:[^.:]{0,60} )?"
    r"(?:nicht|kein\w{0,2}|nichts)\b(?:[^.:]{0,50} )?(?:\w{0,6}helfen|beschreib|unterstütz|bereitstell|anbiet"
    r"|nachkomm|erfüll|identifizier|erkennen|verarbeit|analysier|\w{0,5}antwort|erstell|liefern|geben|äußer"
    r"|kommentier|benenn|nennen|tun\b|behilflich|dienen|bearbeit|generier|machen\b)",
    r"(?:es )?ist (?:es )?mir (?:leider )?nicht (?:möglich|erlaubt|gestattet)",
    r"(?:ich bin|bin ich) (?:leider )?nicht (?:in der lage|befugt|berechtigt|imstande)",
    r"(?:ich )?(?:muss|möchte) (?:ich )?(?:[^.:]{0,30} )?(?:ablehnen|verweigern)",
    r"(?:diese anfrage|dieses bild|dieser inhalt|das)[^.:]{0,30} (?:verstößt|widerspricht)",
    r"(?:diese anfrage|dieses bild|dieses foto|das bild)[^.:]{0,20}kann[^.:]{0,20}nicht (?:beschrieben|bearbeitet)",
    # French
    r"(?:je|nous) (?:ne |n')(?:[^.:]{0,15} )?(?:peux|puis|pourrai|pouvons|suis|saurais|sommes|suis)"
    r"(?: malheureusement| donc)? ?(?:pas|plus|point)?\b[^.:]{0,60}(?:aid|décri|fourni|répond|assist|identifi"
    r"|reconn|trait|analys|génér|donn|comment|satisf|propos|légend|continu|donner suite|faire (?:cela|ça)|accéder à (?:cette|votre) demande)",
    r"(?:je|nous) (?:dois|devons|préfère)[^.:]{0,30}(?:refuser|décliner|ne pas)|je refuse de",
    r"il m'est (?:malheureusement )?(?:impossible|interdit)|(?:cela|cette (?:demande|image|photo)|ce contenu)[^.:]{0,30}"
    r"(?:enfreint|viole|contrevient|va à l'encontre|est contraire)",
    r"impossible de (?:décrire|fournir|traiter|répondre|générer) ",
    # Spanish
    r"(?:yo )?no (?:me )?(?:puedo|podemos|podré|podría|podria|soy capaz|estoy (?:en condiciones|autorizad|capacitad|programad)\w*|tengo permitido|es posible|está permitido)"
    r"[^.:]{0,60}(?:ayudar|asist|describ|proporcion|ofrec|identific|reconoc|proces|analiz|respond|gener|coment"
    r"|cumpl|continu|complet|hacer (?:eso|esto)|realiz|dar(?:te|le)? )",
    r"(?:lamento|siento|lamentamos) no (?:poder|ser capaz)|(?:lamento|sinto) não poder|(?:je regrette|désolée?) de ne (?:pas )?pouvoir"
    r"|(?:mi dispiace|spiacente) (?:di )?non poter|ich bedau(?:e)?re,? (?:dabei |damit )?nicht helfen",
    r"(?:debo|tengo que|prefiero) (?:rechazar|declinar|negarme|no )|(?:esta|tu|su) (?:solicitud|petición|imagen)"
    r"[^.:]{0,30}(?:infringe|viola|incumple|va en contra)|no me siento cómod",
    # Italian
    r"(?:io )?non (?:posso|possiamo|potrò|riesco a|sono in grado|sono autorizzat\w|mi è possibile|è possibile|mi è consentito)"
    r"[^.:]{0,60}(?:aiut|assist|descri|forni|identific|riconosc|elabor|analizz|rispond|gener|comment|soddisf"
    r"|continu|complet|far(?:e|lo)\b|esegui|dare )",
    r"(?:devo|preferisco) (?:rifiutare|declinare|non )|(?:questa|la tua|la sua) (?:richiesta|immagine)[^.:]{0,30}"
    r"(?:viola|infrange|va contro)",
    # Portuguese
    r"(?:eu )?não (?:posso|podemos|poderei|poderia|consigo|sou capaz|estou (?:autorizad|habilitad|apt)\w|é possível|me é possível|tenho permissão)"
    r"[^.:]{0,60}(?:ajud|assist|auxili|descrev|descrição|fornec|oferec|identific|reconhec|process|analis|respond|ger[ae]|coment"
    r"|cumpr|atend|continu|complet|fazer (?:isso|isto)|realiz|dar )",
    r"(?:devo|tenho que|tenho de|prefiro) (?:recusar|declinar|não )|(?:esta|este|essa|esse|sua) (?:solicitação|pedido|imagem|conteúdo)"
    r"[^.:]{0,30}(?:viola|infringe|vai contra)",
    # Dutch, Swedish, Danish, Norwegian
    r"(?:(?:daar|hier)(?:bij|mee)? |dit |deze \w+ )?(?:ik )?(?:kan|mag|zal|wil) (?:ik )?(?:[^.:]{0,50} )?(?:niet|geen)\b[^.:]{0,50}"
    r"(?:help|beschrij|assist|bied|gev|verwerk|voldoen|identific|herken|beantwoord|verstrek)",
    r"ik ben niet in staat|het is mij niet toegestaan",
    r"(?:det )?(?:jag|jeg) (?:kan|får|kommer)(?: tyvärr| dessverre| desværre)? (?:inte|ikke)\b[^.:]{0,50}(?:hjälp|hjelp|hjælp|beskriv"
    r"|assist|svar|tillhandahåll|identif|bistå|gi |ge |give )|(?:det )?kan (?:jag|jeg) (?:[^.:]{0,30} )?(?:inte|ikke|ingen)\b[^.:]{0,40}(?:hjälp|hjelp|hjælp|beskriv)",
    # Polish, Czech
    r"(?:ja )?nie (?:mogę|możemy|jestem w stanie|potrafię|wolno mi)[^.:]{0,60}(?:pomóc|opisa|udziel|zidentyfik|przetworz|odpowie|dostarcz"
    r"|wygenerow|poda|spełni|rozpozna|wykona|zrealiz)",
    r"(?:s tím|tento|toto)?\s?(?:vám |ti )?(?:nemohu|nemůžu|nedokážu|nejsem schop\w+)[^.:]{0,60}(?:pomo|popsat|poskyt|identif|zprac|odpov)",
    # Russian, Ukrainian
    r"(?:я )?(?:не (?:могу|можем|смогу|в состоянии|имею права|имею возможности|способ\w+|буду)|вынужден\w? отказ\w+|отказываюсь)[^.:]{0,60}"
    r"(?:помо|опис|предостав|ответ|идентиф|опозна|распозна|обработ|анализ|созда|выполн|коммент|обсужд|продолж|сдела|состав|дать|$)",
    r"(?:этот|это|данн\w+|ваш) (?:запрос|изображение|контент|содержимое)[^.:]{0,30}(?:наруша|противореч)",
    r"(?:с этим )?(?:я )?не можу[^.:]{0,60}(?:допомо|опис|надат|відпов|ідентиф|оброб|викон)",
    # Turkish
    r"(?:bu|size|sana|kişileri|bunu)[^.:]{0,60}(?:yardımcı olam|açıklayam|tanımlayam|betimleyem|sağlayam|yanıtlayam|tarif edem|veremem|yapamam|karşılayam)",
    r"(?:yardımcı|bu konuda)[^.:]{0,30}olam",
    # Arabic, Hindi
    r"(?:أنا )?(?:لا (?:أستطيع|يمكنني|أقدر|يمكننا)|لست قادر\w*|لن أتمكن|غير قادر)[^.:]{0,60}(?:مساعد|وصف|أصف|تقديم|المساعدة|الإجابة|تحديد|معالجة|تحليل|التعرف)",
    r"(?:मैं|हम)[^.:]{0,60}(?:मदद|सहायता|वर्णन|पहचान|विवरण|उत्तर|जवाब)[^.:]{0,40}(?:नहीं (?:कर|दे)|असमर्थ)",
    # Chinese, Japanese, Korean
    r"(?:我们?|本助手)(?:目前|暂时|真的|也)?(?:无法|無法|不能|没办法|没法|不可以|不便|拒绝|拒絕|不会|不適合|不方便)[^，。]{0,24}"
    r"(?:帮|幫|描述|提供|回答|满足|滿足|处理|處理|识别|識別|协助|協助|完成|讨论|討論|生成|辨认|评论|继续|分析|执行|回应)",
    r"[^，。]{0,14}(?:违反|違反|不符合)[^，。]{0,15}(?:政策|准则|規定|规定|规范|原则)",
    r"(?:这|该|此|這|該)(?:张|个|幅|項|项|張)?(?:图片|照片|请求|内容|图像|圖片|請求)?[^，。]{0,8}(?:我)?(?:无法|無法|不能)(?:被)?(?:帮|描述|提供|处理|協助|协助|回答)",
    r"[^。]{0,24}(?:説明|描写|回答|お手伝い|支援|提供|お応え|応え|お答え|対応|ご要望|リクエスト|ご依頼|キャプション|手助け|識別|処理|生成|サポート|協力|お力)"
    r"[^。]{0,24}(?:できません|出来ません|致しかね|いたしかね|できかね|しかねます|お断り|控えさせて|なれません)",
    r"δεν (?:μπορώ|είμαι σε θέση|(?:μου )?επιτρέπεται)[^.:;]{0,40}(?:βοηθ|περιγρ|εξυπηρετ|απαντ|αναγνωρ|ταυτοποι|παρέχ|παράσχ|δώσ)",
    r"(?:tôi|mình|chúng tôi|em)? ?(?:không thể|không được phép|không có khả năng)[^.:]{0,40}(?:giúp|hỗ trợ|mô tả|đáp ứng|nhận dạng|xác định|trả lời|cung cấp|thực hiện)",
    r"(?:ฉัน|ผม|ดิฉัน|เรา)ไม่สามารถ[^.:]{0,40}(?:ช่วย|อธิบาย|บรรยาย|ตอบ|ระบุ|ดำเนินการ)",
    r"(?:saya|kami|aku) (?:tidak|tak) (?:dapat|bisa|mampu|diizinkan|diperbolehkan)[^.:]{0,40}(?:bantu|deskrip|jelas|jawab|penuhi|identif|kenali|memberi|proses|lakukan)",
    r"(?:ebben |ezt |ezzel )?(?:a [^.:]{1,20} )?nem (?:segíthetek|tudok (?:ebben )?segíteni|tudom (?:leírni|teljesíteni|azonosítani)|írhatom le|teljesíthetem)",
    r"nu (?:pot|putem|sunt în măsură|am voie|îmi este permis)[^.:]{0,40}(?:ajut|descri|oferi|răspun|identific|îndeplin|asist|furniz|proces)",
    r"(?:minä )?en (?:voi|pysty|saa|kykene|osaa)[^.:]{0,30}(?:autta|kuvailla|kuvata|vastata|tunnistaa|toteuttaa|tehdä (?:tätä|sitä|niin))",
    r"(?:אני )?(?:לא יכול(?:ה)?|איני יכול(?:ה)?|אינני יכול(?:ה)?|לא ניתן|אין באפשרותי)[^.:]{0,30}(?:לעזור|לסייע|לתאר|לזהות|לענות|לספק|לבצע)",
    r"[^.:]{0,40}(?:도와드릴 수 없|도움을 (?:드릴|줄) 수 없|설명(?:할|해 ?드릴) 수 없|제공(?:할|해 ?드릴) 수 없|답변(?:할|해 ?드릴|드릴) 수 없|응할 수 없|묘사(?:할|해 ?드릴) 수 없|식별할 수 없습니다|처리(?:할|해 ?드릴) 수 없)",
)  # fmt: skip
REFUSED_AFTER_A_LEAD = (
    r"(?:无法|無法|不能|没办法|拒绝|不会)[^，。]{0,20}(?:帮|幫|描述|提供|回答|满足|处理|處理|识别|协助|協助|完成)",
    r"(?:這個|这个|此|该)?(?:请求|問題|问题|内容)[^，。]{0,10}(?:无法|無法|不能)",
    r"(?:i )?(?:can't|cannot|can not|won't|no)\W*$",
    r"(?:no poder|não poder|(?:di )?non poter|de ne (?:pas )?pouvoir|not being able|to be unable)\b",
    r"(?:that|this)(?:'s| is)? (?:not |something )[^.:]{0,40}\bi\b",
    r"(?:je ne (?:peux|puis) pas|no puedo|non posso|não posso|nie mogę|не могу|das geht nicht|dat kan niet)\W*$",
)
"""Clear only behind an apology."""

_PLEASE_SEND = (
    r"(?:please|kindly|could you(?: please)?|can you(?: please)?|if you(?: could| can)?|feel free to|try to|once you)"
    r" (?:re-?)?(?:try )?(?:upload|attach|provid|shar|send|resend|resubmit|includ|paste|post|add)\w*[^.:]{0,40}\b"
)
_EN_SEE = r"(?:see|view|find|access|open|load|detect|display|perceive|receive|look at|retrieve|process|interpret|analy[sz]e)"
_ANY = r"(?:any|the|an?|your|this|that|actual|attached|uploaded|provided|or|and|images?,?|photos?,?|such|these)"
_EN_GONE = (
    r"(?:attached|uploaded|provided|included|shared|given|supplied|received|in (?:your|this|the|our) "
    r"(?:message|conversation|chat|request|prompt|input)\b|to (?:describe|caption|analy[sz]e)|(?:visible|here|detected|loaded|available|found|present)(?: to me|\W*$))"
)
NO_IMAGE = (
    rf"(?:i|we)(?:'m| am)?(?: (?:currently|still|really|also|actually|just))*"
    rf"(?: do not| don't| can(?:no|')t| can not| could(?: not|n't)| did not| didn't| (?:am )?unable to| not able to"
    rf"| haven't| have not)(?: (?:currently|actually|directly|to|be able to))*(?: {_EN_SEE}d?(?:,| or| and)?){{1,3}}"
    rf"(?: {_ANY}){{0,4}} {_IMAGE}",
    rf"(?:i|we) (?:do not|don't|have no|see no|got no|received no|haven't|did not|didn't|never|lack)(?: (?:have|get|got|received?|been))*"
    rf"(?: (?:the|any|an?|access to|ability to|capability to|vision|visual|{_EN_SEE}|able to|view)){{0,6}} (?:{_IMAGE}|capabilit|vision)",
    rf"(?:there(?:'s| is| are| was| were| seems to be| appears to be| doesn't (?:seem|appear) to be|'re)) (?:no|not|an?)(?: an?| any)?"
    rf" (?:{_IMAGE})(?: (?:was|were|is|has been))?(?: \w+ly)? ?(?:{_EN_GONE}|\W*$)",
    rf"no (?:{_IMAGE})(?: (?:was|were|is|has been|data|file|seems to be|seems to have been|appears to (?:be|have been)))* ?(?:{_EN_GONE}|\W*$)",
    rf"you (?:have not|haven't|did not|didn't|forgot to|may have forgotten to|might have forgotten to|have yet to|"
    rf"haven't yet|meant to)[^.:]{{0,20}} (?:attach|upload|provid|includ|shar|sen[dt])\w*[^.:]{{0,20}}{_IMAGE}",
    rf"(?:the|your|this) {_IMAGE}(?: you \w+)?(?: file| data| url| link)? (?:(?:did not|didn't|has not|hasn't|was not|wasn't|is not|isn't|have not|"
    rf"does not seem to have|doesn't seem to have|failed to|could not be|couldn't be|cannot be|can't be|may not have|might not have|seems not to have)"
    rf"(?: (?:been|be|properly|successfully|correctly|fully))*"
    rf" (?:load|upload|come through|came through|go through|attach|display|provided|received|accessib|available|render|visible to me|"
    rf"viewed|included|shared|retriev|open|process)|(?:is|seems to be|appears to be) (?:missing|unavailable|inaccessible)(?:\W*$| from your| or ))",
    rf"{_PLEASE_SEND}{_IMAGE}",
    rf"(?:unable|cannot|can't|could not|couldn't|failed|not able)(?: to)? (?:{_EN_SEE}|read|fetch)(?: {_ANY}){{0,3}} {_IMAGE}\W*$",
    r"i(?:'m| am)(?: only| just)? (?:a )?(?:text-based|text-only|language model)",
    rf"(?:{_IMAGE}) (?:is )?(?:not (?:available|provided|found|attached|visible|loaded|supplied)|unavailable|missing)\W*$",
    rf"(?:the|your|this) {_IMAGE}(?: \w+)? (?:is|seems to be|appears to be|came through) (?:empty|blank|corrupt\w*|broken)(?:,? (?:or|and) (?:did|has|failed|could|was|may)\b|\W*$)",
    rf"i (?:only|just) see an? (?:blank|black|white|gr[ae]y|empty) (?:{_IMAGE}|square|screen)\W*$",
    rf"(?:without|i need|i would need|i'd need)(?: to see)? (?:{_ANY} )*{_IMAGE}[^.:]{{0,20}}(?:, i (?:can|am)| to (?:describe|provide|caption|help)|(?: first)?\W*$)",
    # German
    r"(?:(?:ich|wir) )?(?:sehe|erkenne|finde|kann|habe)(?: ich)?(?: (?:hier|leider|aktuell|derzeit|aber|bisher|in deiner nachricht|in ihrer nachricht|"
    r"noch|direkt|jedoch))* (?:kein\w{0,2}|weder|die|das|ihr|dein) (?:\w+ )?(?:bild|foto|grafik|anhang|datei)\w*(?: (?:ein)?\w*)?(?: (?:nicht|sehen|ansehen|"
    r"erhalten|öffnen|anzeigen|laden|finden|betrachten))*",
    r"(?:als [^,.:]{1,30} )?kann ich (?:leider )?keine (?:bilder|fotos)",
    r"ich kann [^.:]{0,40}keine (?:bilder|fotos) (?:an)?(?:sehen|zeigen|schauen|öffnen|betrachten|empfangen)",
    r"(?:ich bin|bin ich) [^.:]{0,20}nicht (?:in der lage|imstande)[^.:]{0,20}(?:bild|foto)\w* (?:zu sehen|anzusehen|zu öffnen|anzuschauen)",
    r"(?:es |hier |in ihrer nachricht |in deiner nachricht )?(?:wurde|wurden|ist|sind|liegt|gibt|war|scheint|fehlt)(?: (?:es|hier|leider|mir|wohl))* "
    r"(?:kein\w{0,2}|das) (?:bild|foto|anhang)\w* (?:angehängt|hochgeladen|bereitgestellt|übermittelt|vorhanden|beigefügt|mitgeschickt|mitgesendet|gesendet|"
    r"enthalten|vor\b|angegeben|übergeben)",
    r"kein(?:e|en)? (?:bild|foto)\w* (?:wurde )?(?:vorhanden|angehängt|hochgeladen|bereitgestellt|übermittelt|beigefügt|gefunden|verfügbar|erhalten|angegeben)",
    r"(?:du hast|sie haben|haben sie|hast du)[^.:]{0,20}(?:kein\w{0,2}|vergessen)[^.:]{0,15}(?:bild|foto)",
    r"(?:bitte|könnten sie|könntest du|können sie|kannst du)[^.:]{0,10} (?:lad\w*|send\w*|schick\w*|füg\w*|stell\w*|teil\w*|häng\w*|übermitt\w*)?[^.:]{0,15}"
    r"(?:das|ein|dein|ihr|die)\w* (?:\w+ )?(?:bild|foto|datei)\w*[^.:]{0,30}(?:hoch|senden|bereit|an\b|zu\b|teilen|schicken|erneut|bei\b|zur verfügung)",
    r"(?:das|dein|ihr) (?:bild|foto) (?:wurde|konnte|ist|scheint|wird)[^.:]{0,30}nicht[^.:]{0,20}(?:geladen|angezeigt|hochgeladen|angehängt|übertragen|"
    r"verfügbar|angekommen|mitgeschickt|übermittelt)",
    # French
    r"(?:je|nous) ne (?:vois|peux|trouve|parviens|suis|reçois|dispose|voyons|détecte)[^.:]{0,12} (?:pas|aucune?)"
    r"(?: (?:(?:à |en mesure de |capable de )?(?:voir|ouvrir|afficher|accéder à|visualiser|consulter|d'|directement|malheureusement|encore|actuellement))){0,4} ?"
    r"(?:d'|l'|les |la |de |des |une |votre |cette |aux? |à |ici )*(?:image|photo|pièce jointe|fichier)s?\b",
    r"je n'ai (?:pas|reçu aucune?|aucune?)[^.:]{0,30}(?:image|photo|pièce jointe)",
    r"aucune (?:image|photo)\w*(?: (?:n'a|n'ait|n'est|ne))?(?: (?:été|semble|soit))*[^.:]{0,15}(?:fourni|joint|télécharg|envoy|transmis|partag|disponible|reçu|détect)",
    r"(?:vous n'avez|tu n'as)[^.:]{0,15}(?:pas|aucune)[^.:]{0,30}(?:image|photo)|il n'y a (?:pas d'|aucune )(?:image|photo)\w* (?:joint|attach|fourni|dans (?:votre|ce|notre)|à (?:décrire|analyser))",
    r"(?:veuillez|merci de|pourriez-vous|pouvez-vous|s'il vous plaît,?|peux-tu)[^.:]{0,12}[ '](?:télécharg|join|envoy|fourn|partag|téléverser|ajout|import|transmet|charg|renvoy)\w*[^.:]{0,20}(?:image|photo)",
    r"(?:l'image|la photo|votre image|votre photo)[^.:]{0,12} (?:n'a|n'est|ne|semble)[^.:]{0,20}(?:pas|manqu)[^.:]{0,25}(?:chargé|joint|téléchargé|affich|disponible|transmis|fourni|accessible|envoyé|être)",
    # Spanish
    r"(?:yo )?no (?:veo|puedo|encuentro|he recibido|recibí|tengo|detecto|logro|me es posible)(?: (?:ver|acceder|visualizar|abrir|acceso|recibir|cargar|directamente|a|la capacidad|de|o|analizar|procesar))*"
    r"(?: (?:ninguna?|la|las|el|imágenes|esta|tu|su|una|directamente|a)){0,4} ?(?:imagen|imágenes|foto|fotos|fotografía|archivo|adjunto)\b",
    r"no (?:se )?(?:ha|han|hay|has|adjunt|proporcion|incluy|sub)\w*(?: \w+){0,2} (?:ninguna? )?(?:imagen|foto|fotografía|archivo)\w*(?: (?:adjunt|proporcion|para|en (?:tu|su|el|este)|que|disponible|visible|carg|$)|\W*$)",
    r"no se (?:ha|han|haya|hayan) (?:proporcionado|adjuntado|incluido|cargado|subido|recibido|enviado)|no (?:has|ha) (?:adjuntado|subido|proporcionado|incluido|enviado|compartido)",
    r"(?:ninguna|falta la) imagen (?:ha sido |fue )?(?:proporcionad|adjunt|recibid|disponible|cargad)\w*|imagen no (?:disponible|proporcionada|encontrada|adjunta)",
    r"(?:por favor,? |podrías |podría |puedes |puede )(?:vuelve a |volver a |vuelva a )?(?:sub[aeior]|carg|adjunt|env[ií]|proporcion|compart)\w*[^.:]{0,20}(?:imagen|foto)",
    r"(?:la|tu|su) (?:imagen|foto) no (?:se (?:ha|pudo|cargó|ve|muestra|adjuntó)|está (?:disponible|adjunta)|ha sido|fue|aparece|llegó)",
    # Italian
    r"(?:io )?non (?:vedo|posso|riesco a|ho|trovo|sono in grado di|rilevo)(?: (?:vedere|visualizzare|aprire|accedere|ricevuto|accesso|direttamente|la capacità|di|alle|all'|all’))*"
    r"(?: ?(?:nessun'|nessuna|alcuna|l'|la|le|questa|immagini|tua|alcun')){0,3} ?(?:immagin|foto\b|fotografi|file|allegat)\w*",
    r"(?:nessuna|nessun'|manca l')\s?(?:immagine|foto|fotografia) (?:è |è stata |e |stata )*(?:fornita|allegata|caricata|inviata|disponibile|ricevuta|presente nel)|non (?:è|sia|siano|sono|c'è|hai|ha|avete)[^.:]{0,20}"
    r"(?:fornit|allegat|caricat|inviat|condivis)\w*[^.:]{0,20}(?:immagin|foto)?|non c'è (?:nessuna |alcuna )?(?:immagine|foto) (?:allegat|fornit|nel|caricat)",
    r"(?:per favore,? |si prega di |potresti |può |puoi |potrebbe )(?:ri)?(?:caric|alleg|invi|forni|condivid)\w*[^.:]{0,20}(?:immagine|foto)",
    r"(?:l'immagine|la foto|la tua immagine) non (?:è stata|è|si è|sembra)[^.:]{0,25}(?:caricat|allegat|visualizz|disponibil|fornit|inviat|ricevut)",
    # Portuguese
    r"(?:eu )?não (?:vejo|posso|consigo|encontro|recebi|tenho|estou vendo|detecto|sou capaz de)(?: (?:ver|acessar|aceder|visualizar|abrir|acesso|receber|carregar|diretamente|a|à|às|a capacidade|de|analisar|enxergar))*"
    r"(?: (?:nenhuma?|a|as|o|imagens|esta|essa|sua|uma|qualquer)){0,4} ?(?:imagem|imagens|foto|fotos|fotografia|arquivo|anexo)\b",
    r"nenhuma (?:imagem|foto)\w* (?:foi |está |tenha sido |parece ter sido )?(?:enviada|fornecida|anexada|carregada|recebida|disponível|encontrada)|não (?:há|foi|foram|existe)[^.:]{0,15}(?:imagem|foto|enviad|fornecid|anexad|carregad)\w*[^.:]{0,12}(?:anexad|enviad|fornecid|disponível|nesta|na (?:sua|tua)|imagem|foto)",
    r"você não (?:enviou|anexou|forneceu|compartilhou|carregou)|imagem não (?:disponível|fornecida|encontrada|enviada|anexada)",
    r"(?:por favor,? |poderia |pode |você pode )(?:re)?(?:envi|anex|carreg|fornec|fornaç|forneç|compartilh|faça o upload)\w*[^.:]{0,25}(?:imagem|foto)",
    r"(?:a|sua) (?:imagem|foto) não (?:foi|está|carregou|pôde|pode|aparece|chegou)[^.:]{0,25}(?:carregad|anexad|enviad|disponível|exibid|fornecid|$)",
    # Dutch, Swedish, Danish, Norwegian
    r"ik (?:zie|kan|heb|ontvang)[^.:]{0,25}(?:geen|de|het|niet)[^.:]{0,10}(?:afbeelding|foto|bijlage|bestand)\w*|er is (?:helaas )?geen (?:afbeelding|foto)[^.:]{0,10}(?:bijgevoegd|geüpload|meegestuurd|toegevoegd|verstrekt)|geen (?:afbeelding|foto) (?:bijgevoegd|beschikbaar|ontvangen)|(?:upload|stuur|voeg|deel)\w* (?:alstublieft |alsjeblieft )?(?:de|een|je|uw) (?:afbeelding|foto)",
    r"(?:jag|jeg) (?:ser|kan|har)[^.:]{0,20}(?:ingen|inte|ikke|inga|ingen)[^.:]{0,20}(?:bild|foto|bilag|billede|bilde)\w*|det er (?:ikke|ingen)[^.:]{0,20}(?:vedlagt|lastet opp|lagt ved|vedhæft|uploadet)[^.:]{0,12}(?:bild|billede|bilde|foto)|(?:ingen|det finns ingen|det er (?:ikke |ingen )[^.:]{0,6}) ?(?:bild|billede|bilde)\w*[^.:]{0,12}(?:bifoga|vedhæft|vedlagt|uppladda|lastet opp|tilgængelig)",
    # Polish, Czech
    r"nie (?:widzę|mogę|otrzymał\w+|mam)[^.:]{0,30}(?:obraz|zdjęci|załącznik|grafik)\w*|(?:nie (?:został\w?|załączon|ma|dołączon|przesłan)\w*|brak)[^.:]{0,20}(?:obraz|zdjęci)\w*[^.:]{0,20}|proszę (?:o )?(?:prze|za|dołącz|udostępn|wgra)\w*[^.:]{0,20}(?:obraz|zdjęci)\w*",
    r"(?:nevidím|neobdržel\w?|nemohu)[^.:]{0,25}(?:obráz|fotk|fotograf|přílo)\w*|(?:prosím,? )?(?:nahrajte|přiložte|pošlete)[^.:]{0,15}(?:obráz|fotk|fotograf)\w*",
    # Russian, Ukrainian
    r"(?:я )?не (?:вижу|могу|получил\w?|нахожу|имею|обнаружил\w?)(?: (?:увидеть|просмотреть|открыть|видеть|просматривать|загрузить|доступа|к|возможности|посмотреть|получить|напрямую))*"
    r"(?: (?:никак\w+|ваш\w*|эт\w+|прикрепл\w+|приложен\w+|сам\w*|загруженн\w+|ни одного|здесь)){0,3} (?:изображен|фото|картин|снимк|вложен|файл)\w*",
    r"(?:изображени\w|фото\w*|картинк\w|файл)(?: к сообщению)? (?:не|отсутству|недоступн)\s?(?:был\w? |удалось |загрузил\w* )?(?:прикрепл|загруж|предостав|получ|приложен|отправл|доступн|загруз|отображ|найден|$|\w{0,3}$)\w*",
    r"(?:вы |ты )?(?:не (?:прикрепил|загрузил|приложил|отправил|предоставил)|забыли прикрепить|забыли загрузить)[^.:]{0,25}(?:изображ|фото|картин|файл|снимок)?|(?:нет|отсутствует) (?:изображени|фото|вложени)\w*\W*$",
    r"пожалуйста,? (?:за|при|от|пере|предостав|подел)\w*[^.:]{0,25}(?:изображен|фото|картин|снимок|файл)|(?:загрузите|прикрепите|пришлите|отправьте|предоставьте)[^.:]{0,20}(?:изображен|фото|картин|снимок)",
    r"(?:я )?не бачу[^.:]{0,20}(?:зображен|фото)|(?:будь ласка,? )(?:завантаж|прикріп|надішл)\w*[^.:]{0,20}(?:зображен|фото)|зображення не (?:було )?(?:прикріпл|завантаж|надан)",
    # Turkish
    r"(?:herhangi bir |ekli |bir |hiçbir )*(?:görsel|resim|fotoğraf|görüntü)\w*[^.:]{0,20}(?:görmüyorum|göremiyorum|göremem|eklenmemiş|yüklenmemiş|bulunmuyor|sağlanmadı|yüklenmedi|görüntüleyem)|(?:lütfen )[^.:]{0,20}(?:görsel|resim|resmi|fotoğraf)\w*[^.:]{0,15}(?:yükle|gönder|ekle|paylaş)",
    # Arabic, Hindi
    r"(?:أنا )?(?:لا (?:أرى|أستطيع رؤية|يمكنني رؤية|توجد|يوجد)|لم (?:يتم|أتلق|أجد|ترفق|تقم))[^.:]{0,30}(?:صورة|الصورة|صور|الصور)|(?:يرجى|من فضلك|الرجاء)[^.:]{0,20}(?:تحميل|إرفاق|إرسال|رفع|مشاركة|تقديم)[^.:]{0,15}(?:صورة|الصورة)",
    r"(?:मुझे|मैं|कोई)[^.:]{0,25}(?:छवि|तस्वीर|फ़ोटो|फोटो|चित्र|इमेज)[^.:]{0,25}(?:नहीं (?:दिख|देख|मिल|है|की गई)|(?:संलग्न|दिखाई|नज़र) नहीं)|कृपया[^.:]{0,20}(?:छवि|तस्वीर|फ़ोटो|फोटो|चित्र|इमेज)[^.:]{0,20}(?:अपलोड|भेज|साझा|संलग्न)",
    # Greek, Vietnamese, Thai, Indonesian, Hungarian, Romanian, Finnish, Hebrew
    r"δεν (?:βλέπω|μπορώ να δω|έχω λάβει|υπάρχει|επισυνάφθηκε|έχει επισυναφθεί)[^.:;]{0,20}(?:εικόν|φωτογραφ)|παρακαλώ[^.:;]{0,20}(?:ανεβάσ|στείλ|επισυνάψ)[^.:;]{0,15}(?:εικόν|φωτογραφ)",
    r"(?:tôi|mình) (?:không|chưa)(?: thể)? (?:nhìn thấy|thấy|xem|nhận)[^.:]{0,20}(?:hình|ảnh)|(?:vui lòng|hãy|xin)[^.:]{0,15}(?:tải|gửi|đính kèm|cung cấp)[^.:]{0,15}(?:hình|ảnh)|không có (?:hình ảnh|ảnh|hình) nào (?:được|đính)",
    r"(?:ฉัน|ผม|ดิฉัน)(?:ไม่เห็น|ไม่สามารถ(?:มองเห็น|ดู|เห็น|เปิด)|ไม่พบ)[^.:]{0,12}(?:รูป|ภาพ)|(?:โปรด|กรุณา)[^.:]{0,20}(?:อัปโหลด|แนบ|ส่ง)[^.:]{0,10}(?:รูป|ภาพ)|ไม่มี(?:รูป|ภาพ)[^.:]{0,12}แนบ",
    r"(?:saya|aku) (?:tidak|tak|belum)(?: dapat| bisa)? (?:melihat|menerima|menemukan|membuka)[^.:]{0,20}(?:gambar|foto)|(?:silakan|mohon|harap|tolong)[^.:]{0,15}(?:unggah|kirim|lampirkan|upload)\w*[^.:]{0,15}(?:gambar|foto)|tidak ada (?:gambar|foto) (?:yang )?(?:dilampirkan|diunggah|terlampir|diberikan)",
    r"nem (?:látok|láthatok|látom|kaptam|tudom megnyitni)[^.:]{0,20}(?:kép|fot|fénykép)|(?:kérem|kérlek)[^.:]{0,20}(?:tölts|küld|csatol)[^.:]{0,20}(?:kép|fot)|nincs (?:csatolt )?(?:kép|fotó) (?:csatolva|mellékelve|az? üzenet)",
    r"nu (?:văd|pot vedea|am primit|pot deschide)[^.:]{0,20}(?:imagin|poz|fotograf)|(?:te rog|vă rog)[^.:]{0,20}(?:încarc|încărc|trimite|atașe)[^.:]{0,15}(?:imagin|poz|fotograf)|nu (?:a fost|este)[^.:]{0,10}(?:atașat|încărcat|furnizat)",
    r"(?:minä )?en (?:näe|pysty näkemään|voi nähdä|saanut)[^.:]{0,15}kuv|(?:ole hyvä ja |ole hyvä, )?(?:lataa|lähetä|liitä) kuva|kuvaa ei (?:ole|löydy|näy)[^.:]{0,5}(?:liitetty|ladattu|\W*$)",
    r"(?:אני )?(?:לא רואה|איני רואה|אינני רואה|לא יכול(?:ה)? לראות|לא קיבלתי)[^.:]{0,15}(?:תמונ|צילום|קובץ)|(?:אנא|בבקשה)[^.:]{0,15}(?:העל|שלח|צרפ|צרף)[^.:]{0,15}תמונ|לא צורפה תמונה",
    # Chinese, Japanese, Korean
    r"我(?:们)?(?:目前|暂时|这边|这里|在此|並|并)?(?:没有|沒有|没|未|看不到|看不見|看不见|无法|無法|不能)(?:能)?(?:直接)?(?:看到|看见|看見|收到|查看|访问|接收|打开|加载|发现|找到|检测到|读取|觀看|处理)?"
    r"(?:或|分析|任何|您|你|的|到|上传|附加|附上|发送|提供|这张|該|该|直接|所|传|相关){0,6}(?:图片|照片|图像|附件|圖片|圖像|影像|文件)",
    r"(?:您|你)(?:好像|似乎|可能|并|還|还)?(?:没有|沒有|没|未|忘记|忘了|还没)(?:有|能)?(?:上传|上傳|提供|附|发|發|添加)",
    r"请(?:您|你)?(?:重新|先|再次|尝试)?(?:上传|提供|发送|分享|附上|发|添加)[^，。]{0,14}(?:图片|照片|图像)|請(?:您|你)?(?:重新|先)?(?:上傳|提供|發送|附上)[^，。]{0,10}(?:圖片|照片)",
    r"(?:图片|照片|图像|圖片)(?:似乎|可能)?(?:未|没有|没|沒有|无法|缺失|不可用)(?:能|有|被|成功|正确)*(?:上传|加载|显示|附|上傳|提供|$)|(?:没有|未)(?:检测到|提供|上传|找到|附带)(?:任何)?(?:图片|照片|图像)|没有(?:图片|图像|照片)(?:可供|被|上传|提供|可以)",
    r"(?:画像|写真|イメージ|ファイル)(?:ファイル|データ)?(?:が|は|を|も|の添付が)[^。]{0,14}(?:見当たりません|見えません|添付されていません|添付されていない|アップロードされていません|提供されていません|確認できません|確認することができません|確認することはできません|認識できません|見ることができません|"
    r"見ることはできません|表示されて(?:い)?ません|ないようです|受け取れていません|届いていません|読み込めません|ありません|閲覧できません|拝見できません|されていないようです|見つかりません|表示できません)",
    r"(?:画像|写真)(?:ファイル)?を[^。]{0,15}(?:アップロード|添付|送信|共有|提供|お送り|送って)[^。]{0,10}(?:ください|下さい|お願い|いただ)|(?:画像|写真)が(?:添付|提供|アップロード)されて(?:おりません|いない)",
    r"(?:첨부된 |제공된 |업로드된 )?(?:이미지|사진|그림|파일)(?:가|이|를|을)? ?[^.:]{0,15}(?:보이지 않|볼 수 없|첨부되지 않|확인할 수 없|없습니다|업로드되지 않|제공되지 않|찾을 수 없)|(?:이미지|사진)을?를? ?[^.:]{0,12}(?:업로드|첨부|공유|보내)[^.:]{0,8}(?:주세요|주시|바랍)",
)  # fmt: skip

_EN_NO = r"(?:not\b|n't\b|cannot\b|unable\b|never\b|no\b)"
REFUSED_ANYWHERE = (
    rf"\bi(?:'m|'d|'ll)?\b[^.:;]{{0,25}}{_EN_NO}[^.:;]{{0,50}}\b(?:captioning|caption (?:this|it|the)|describ\w+ (?:this|it|the|what|people|any)|comment on|engage)",
    r"(?:not|n't) (?:be )?(?:appropriate|right|responsible|possible|comfortable) for me to|^not going to (?:caption|describe|comment)",
    r"\bi (?:must|have to|need to|am going to|'m going to) (?:\w+ )?(?:decline|refuse)\b",
    r"^(?:as|being) an? (?:ai|artificial intelligence|llm)(?: language model| assistant| model|\b,)|^as a (?:large )?language model",
    r"(?:my|our) (?:\w+ )?(?:guideline|polic|safety|rules|instructions|training)\w*[^.:;]{0,40}(?:prevent|prohibit|forbid|not|n't|restrict)",
    # German
    r"\b(?:ich|mir|wir|uns) (?!sehe\b|erkenne\b|weiß\b)[^.:;]{0,40}\b(?:nicht|kein\w*|untersagt|verboten)\b[^.:;]{0,40}(?:beschreib\w*|bildunterschrift|angaben|kommentier\w*|erstell\w*|anfrage)",
    r"\bich (?:leider |daher |hier )?(?:ablehnen|verweigern)\b|(?:meine|unsere)\w* (?:richtlinie|sicherheit|vorgab|grundsätz|regel)\w*[^.:;]{0,30}(?:nicht|verbiet|untersag|erlaub)",
    # French, Spanish, Italian, Portuguese
    r"\bje (?:refuse d|préfère m'abstenir|m'abstien)|\bje (?:ne |n')[^.:;]{0,50}(?:décri\w+|légender|commenter) |(?:mes|nos) (?:consignes|règles|directives|politiques|principes)[^.:;]{0,30}(?:interdi|empêch|permett)|^(?:en tant qu'|étant une? |je suis une? )(?:ia\b|modèle|assistant)",
    r"(?:mis|nuestras) (?:políticas|directrices|normas|reglas|principios)[^.:;]{0,40}(?:imp[ií]d|proh[ií]b|permit)|^(?:como|siendo|soy) (?:una? )?(?:modelo de (?:lenguaje|ia|texto)|ia\b|inteligencia artificial)",
    r"(?:l'immagine|la foto|il contenuto|la richiesta)[^.:;]{0,20}viola |non posso (?:descriver|commentar|identificar)\w+|(?:le mie|le nostre) (?:linee guida|regole|politiche)|^(?:essendo|come|in quanto|sono)(?: un[ao']?)? ?(?:modello (?:linguistico|di)|ia\b|intelligenza artificiale)",
    r"(?:as )?minhas (?:diretrizes|políticas|regras|normas)|não (?:posso|devo|vou) (?:descrev|comentar|identificar)\w*|^(?:como|sendo|sou)(?: um| uma)? (?:modelo de linguagem|ia\b|inteligência artificial)",
    # Russian, Chinese
    r"противореч\w+ (?:моим|нашим)|(?:мои|наши)\w* правил\w+[^.:;]{0,30}(?:не|запрещ)|вынужден\w? отказ|\bя\b[^.:;]{0,15}не (?:могу|буду|стану)[^.:;]{0,20}(?:описыва|описать|комментир)|^как (?:ии|искусственный интеллект|языковая модель)",
    r"(?:无法|不能|不便|不会|拒绝)(?:为其|为您|为你|对其)?(?:描述|撰写|评论|生成|提供)(?:这|该|此|相关|任何)?(?:张|个|类)?(?:图片|照片|图像|说明|描述|内容)|我(?:不便|没办法|没法)(?:描述|写出|撰写|评论)|^作为(?:一个|一名)?[^。，]{0,6}(?:人工智能|语言模型|ai)",
)  # fmt: skip
NO_IMAGE_ANYWHERE = (
    r"\bi don't see (?:one|it|anything) (?:here|yet|attached)|\bi can only see (?:the|your) text\b|\b(?:only|just) (?:the |your )?text\b[^.:;]{0,20}(?:reached|came|arrived|received)|vision (?:capabilit|support)|text-(?:only|based) (?:model|assistant|ai)",
    rf"(?:would you mind|could you|can you|please|once you|if you|go ahead and|just) (?:\w+ )?(?:attach|upload|send|shar|re-?send|provid|drop)\w*[^.:;]{{0,25}}{_IMAGE}",
    rf"{_IMAGE}[^.:;]{{0,30}}(?:did not|didn't|does not|doesn't|never|failed to|wasn't|was not|hasn't|has not)[^.:;]{{0,20}}(?:come through|go through|upload|load|attach|arrive|reach)",
    # German
    r"\b(?:ich|mir|wir|uns)\b[^.:;]{0,25}\b(?:nicht|kein\w*)\b[^.:;]{0,12}(?:zugriff|bild (?:vor|sehen|erhalten)|foto (?:vor|sehen|erhalten)|(?:bild|foto)datei|bilder (?:an)?sehen)",
    r"kein\w* (?:bild|foto|anhang|datei)\w* (?:angekommen|eingegangen)|(?:anhang|bild|foto|datei)\w*[^.:;]{0,25}nicht (?:mitgeschickt|mitgesendet|angekommen|hochgeladen|angehängt|übertragen|geladen)",
    r"(?:schick|send|lad|teil|übermittl|zeig)\w*[^.:;]{0,25}\b(?:bild|foto|datei)\w*[^.:;]{0,12}(?:,| und| hoch)[^.:;]{0,15}(?:dann|damit|ich\b|erneut|noch einmal)",
    # French, Spanish, Italian, Portuguese
    r"\b(?:envoy|partag|transmett|joign|montr|téléchar)\w*(?:-| )(?:moi|la|le)\b[^.:;]{0,25}(?:image|photo|fichier)|(?:pièce jointe|image|photo|fichier)[^.:;]{0,12}(?:ne m'est|ne m'a|n'est) (?:pas )?(?:parven|arriv|transmis)|modèle (?:de langage|textuel)[^.:;]{0,40}(?:voir|images?|photos?)",
    r"\b(?:comparte|comp[aá]rte(?:me)?|envíame|mándame|sube|adjunta|envía|pásame|súbela)\b[^.:;]{0,20}(?:imagen|foto|archivo)|(?:imagen|foto\w*|archivo) no (?:me )?ha llegado|no tengo (?:acceso|la capacidad|capacidad)[^.:;]{0,20}(?:archivo|imagen|imágenes|foto|ver\b|visual)",
    r"\b(?:inviami|mandami|condividi|allega|carica|invia|ricarica|puoi inviar\w*)\b[^.:;]{0,20}(?:immagine|foto)|dimenticato di (?:caricare|allegare|inviare)|non posso (?:visualizzare|vedere) (?:le |l'|la )?(?:immagin|foto)",
    r"\b(?:envie|mande|compartilhe|anexe|reenvie)(?:-me)?\b[^.:;]{0,20}(?:imagem|foto|arquivo)|sem a (?:fotografia|foto|imagem),? (?:fico|não)|não (?:posso|consigo) (?:visualizar|ver|acessar)[^.:;]{0,12}(?:foto|imagem|imagens|arquivo)",
    # Russian, Chinese
    r"\bя\b[^.:;]{0,15}не (?:умею|могу|способ\w+)[^.:;]{0,20}(?:просматрив|просмотр|видеть|увидеть|открыв)|(?:текстовая|языковая) модель[^.:;]{0,30}не |(?:пришлите|отправьте|загрузите|прикрепите|скиньте)[^.:;]{0,20}(?:фото|изображ|картин|снимок|файл)|(?:фото|изображение|файл)[^.:;]{0,15}не (?:загрузил|прикрепил|дош|приш|отобраз)",
    r"(?:照片|图片|图像)[^。，]{0,6}(?:加载|上传)失败|(?:照片|图片|图像)(?:发|上传|传|发送)(?:给我|一下|过来|上来)|(?:不具备|没有|无法)(?:直接)?(?:查看|识别|处理|读取)(?:图像|图片|照片)|纯文本(?:语言)?模型|(?:照片|图片|图像)[^。，]{0,8}(?:没有|未能|未)(?:成功)?(?:上传|加载|显示|附)",
)  # fmt: skip
"""Clear wherever they stand in a sentence that describes nothing: no caption speaks of itself, or to
who asked for it. But signs and screens do."""

DESCRIBES = (
    r"(?:(?:an?|the|one|two|three|four|several|some|many|ein\w{0,2}|der|die|das|zwei|drei|mehrere|auf|im|in|vor|an"
    r"|une?|des|les?|la|deux|trois|plusieurs|sur|dans|una|unos|unas|el|los|las|dos|tres|en|il|lo|gli|due|tre|su|sul"
    r"|uma?|os?|dois|duas|num|numa|на|в|у|два|две|одна?|over|under|on|at|beside|behind) |l')"
    r"(?!(?:\w+ ){0,2}(?:image|photo|picture|file|attach|content|request|description|caption|message|bild(?!schirm|hauer|band)|foto|datei"
    r"|anhang|inhalt|anfrage|beschreibung|fichier|pièce|contenu|légende|imagen|archivo|contenido|immagine|contenuto"
    r"|richiesta|imagem|arquivo|conteúdo|изображ|фото|картин|файл|описан)\w*(?! (?:frame|book|album)))"
)
"""How a sentence begins that describes: an article or a place, and what is no word for the photo."""
