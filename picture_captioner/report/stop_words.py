"""Words that say nothing of a photo: the commonest of eight languages, and captioners' phrases."""

from __future__ import annotations

_ENGLISH = """
a about above across after again against all along also among an and another any appears are around
as at back be because been before behind being below beneath beside between both but by can could
down each either engaged few for from front had has have he her here herself him himself his how i
if in inside into is it its itself just less like many may me more most much my near next no nor
not of off on one only onto or other our out outside over own per possibly rather same seem seems
several she should single so some someone something such than that the their them there these they
this those through to together too toward towards two three under until up upon us very was we well
were what when where which while who whose will with within without would you your
"""
_CAPTIONS = """
image images photo photos photograph photographs picture pictures pictured shot view scene
background foreground caption close-up closeup depict depicted depicts depicting feature features
featuring show showing shows shown seen set visible setting surrounded appear bild foto aufnahme
zeigt imagen muestra immagine mostra imagem photographie montre
"""
_GERMAN = """
aber alle als am an auch auf aus bei beim bis da dabei das dass dem den der des die dies diese
diesem diesen dieser dieses doch du durch ein eine einem einen einer eines er es etwas für gegen
hat hier hinter ich ihm ihn ihr ihre im in ins ist ja kann kein keine man mehr mit nach neben nicht
noch nur ob oder ohne sehr sein seine sich sie sind so steht über um und uns unter vom von vor wenn
wie wird wir zu zum zur zwei zwischen
"""
_FRENCH = """
à au aux avec ce ces cet cette chez comme dans de des devant derrière donc du elle elles en entre
est et être eux il ils je la le les leur leurs lors lui mais même ne nous on ont ou où par pas plus
pour près qu que qui sa sans se ses si son sont sous sur tandis très un une vers vous y d l c s n j
"""
_SPANISH = """
al algo algunas algunos ante bajo como con contra cual cuando de del desde detrás donde dos el ella
ellas ellos en entre era es esa ese esta está están este esto fue ha hacia hasta hay la las le les
lo los más mientras muy no nos o otra otro para pero por que se sin sobre son su sus también un una
unas uno unos y ya
"""
_ITALIAN = """
ai al alla alle allo anche che chi ci come con da dagli dai dal dalla dalle davanti degli dei del
della delle dello di dietro due e è ed gli ha hanno i il in la le lo loro ma mentre molto ne nei nel
nella nelle non o per più presso quale quando quella quello questa questo se si sia sono sopra sotto
su sua sue sugli sui sul sulla suo suoi tra fra un una uno
"""
_PORTUGUESE = """
ao aos à às até atrás com como da das de dela dele do dos e é ela elas ele eles em enquanto entre
esta está estão este eu foi há isso isto já lhe mais mas muito na nas não no nos num numa o os ou
para pela pelas pelo pelos perto por quando que quem se sem ser seu seus sob sobre sua suas também
tem um uma umas uns
"""
_DUTCH = """
aan achter al als bij dan dat de deze die dit door een en er haar heeft hem het hij hun ik in is je
kan maar me met mijn naar naast niet nog nu of om omdat onder ons ook op over te tegen terwijl tot
tussen twee uit van veel voor waar was wat we wel wij ze zich zij zijn zo
"""
_POLISH = """
a ale by był była było co czy dla do go i ich jak jako jego jej jest już ku lub ma na nad nie o od
oraz po pod przed przez przy się są ta tak tam te tego ten to tylko tym u w we z za ze że
"""

STOP_WORDS = frozenset(
    " ".join(
        (_ENGLISH, _CAPTIONS, _GERMAN, _FRENCH, _SPANISH, _ITALIAN, _PORTUGUESE, _DUTCH, _POLISH)
    ).split()
)
"""Compared in lower case. Other languages rely on `keywords.COMMON_SHARE`."""
