"""Lists by which names are told where capital letters say nothing: sentence beginnings, German."""

from __future__ import annotations


def _set(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.replace("\n", ",").split(",") if part.strip())


GIVEN_NAMES = _set("""
adam, adrian, alan, albert, alejandro, alex, alexander, alexandra, alice, alicia, alina, amanda,
amelia, amy, ana, anastasia, andrea, andreas, andrew, angela, angelina, anita, anja, ann, anna,
anne, annette, anthony, antonio, arthur, ashley, astrid, barbara, beatrice, ben, benjamin,
bernd, bernhard, bianca, birgit, björn, bob, boris, brandon, brian, bruno, camille, carl, carla,
carlos, carmen, caroline, catherine, cecilia, charles, charlie, charlotte, chloe, chris,
christian, christina, christine, christoph, christopher, clara, claudia, clemens, cornelia,
daniel, daniela, david, deborah, dennis, diana, diego, dieter, dirk, dmitri, donald, dorothea,
edward, elena, eleanor, elias, elisabeth, elizabeth, ella, ellen, emil, emilia, emily, emma,
eric, erik, eva, evelyn, fabian, felix, finn, florian, francesca, francesco, franz, françois,
freya, friedrich, fritz, gabriel, gabriela, gabriele, george, georg, gerhard, giovanni, giulia,
greta, günther, hannah, hanna, hans, harold, harry, heidi, heike, heinz, helen, helena, helga,
henry, hugo, ida, ines, inga, ingrid, irene, isabel, isabella, ivan, jacob, jakob, james, jan,
jana, jane, janet, jason, javier, jean, jennifer, jens, jessica, joachim, joan, joanna, johan,
johann, johanna, johannes, john, jonas, jonathan, jorge, josé, josef, joseph, joshua, juan,
julia, julian, jürgen, kai, karen, karin, karl, katharina, kathrin, katja, kevin, klara, klaus,
konrad, kristina, kurt, lara, larry, lars, laura, lea, lena, leo, leon, leonie, liam, linda,
lisa, lina, louis, louise, luca, lucas, lucia, lucy, luis, luisa, lukas, maja, manfred, manuel,
marc, marcel, marco, marcus, margaret, maria, marie, marina, mario, marion, markus, marta,
martha, martin, martina, mary, mathilda, matteo, matthew, matthias, mia, michael, michelle,
miguel, mila, milena, mohammed, monica, monika, moritz, nadia, nancy, natalia, natalie, nathan,
nicholas, nick, nicola, nicole, niklas, nils, nina, noah, nora, norbert, oliver, olivia, olga,
oscar, oskar, otto, pablo, patricia, patrick, paul, paula, pauline, pedro, peter, petra, philip,
philipp, pierre, rachel, rainer, ralf, raphael, rebecca, regina, renate, richard, rita, robert,
robin, roger, roland, ronald, rudolf, ruth, sabine, sabrina, samantha, samuel, sandra, sara,
sarah, sebastian, sergei, silke, silvia, simon, simone, sofia, sonja, sophia, sophie, stefan,
stefanie, stephanie, stephen, steve, steven, susan, susanne, sven, svetlana, sylvia, tanja,
theo, theodor, theresa, thomas, tim, timothy, tobias, tom, tony, torsten, ulrich, ulrike,
ursula, uwe, valentina, vanessa, vera, victor, victoria, viktor, vincent, walter, werner,
wilhelm, william, wolfgang, yannick, yuki, yvonne, zoe
""")

PLACES = _set("""
africa, alaska, algeria, amsterdam, antarctica, argentina, asia, athens, auckland, australia,
austria, bali, bangkok, barcelona, basel, bavaria, bayern, beijing, belgium, belgrade, berlin,
bern, bodensee, bogotá, bologna, bonn, bordeaux, boston, brazil, bremen, brussels, bucharest,
budapest, bulgaria, cairo, california, canada, canberra, chicago, chile, china, cologne,
colombia, copenhagen, croatia, cuba, cyprus, dallas, delhi, denmark, denver, deutschland,
dortmund, dresden, dubai, dublin, dubrovnik, düsseldorf, edinburgh, egypt, england, estonia,
europe, europa, fiji, finland, florence, florida, france, frankfurt, frankreich, freiburg,
geneva, genf, georgia, germany, ghana, glasgow, greece, griechenland, hamburg, hanoi, hanover,
hannover, havana, hawaii, heidelberg, helsinki, hungary, iceland, india, indonesia, innsbruck,
iran, iraq, ireland, israel, istanbul, italien, italy, jamaica, japan, jerusalem, jordan, kenya,
kiev, köln, konstanz, korea, kyoto, kyiv, lausanne, leipzig, lisbon, lissabon, ljubljana,
london, luxembourg, luzern, lyon, madrid, mailand, malaysia, mallorca, malta, manhattan,
marrakesh, marseille, melbourne, mexico, miami, milan, monaco, montreal, morocco, moscow,
moskau, mumbai, munich, münchen, namibia, naples, nepal, netherlands, nigeria, norway, norwegen,
nuremberg, nürnberg, oslo, österreich, pakistan, paris, peking, peru, philadelphia, poland,
polen, porto, portugal, prag, prague, reykjavik, riga, rom, roma, rome, romania, rotterdam,
russia, salzburg, santorini, schweiz, scotland, seattle, seoul, serbia, seville, shanghai,
sicily, singapore, slovenia, sofia, spain, spanien, stockholm, strasbourg, stuttgart, sweden,
sydney, switzerland, sylt, syria, taiwan, tanzania, texas, thailand, tokyo, toronto, toulouse,
tunisia, turin, tuscany, ukraine, valencia, vancouver, venedig, venice, vienna, vietnam, wales,
warsaw, warschau, washington, wien, zurich, zürich
""")

BRANDS = _set("""
adidas, aldi, amazon, android, apple, asics, asus, audi, barbie, birkenstock, bmw, boeing,
bosch, burberry, cadillac, canon, casio, chanel, chevrolet, citroën, coca-cola, coke, converse,
decathlon, dell, dior, disney, dji, ducati, dyson, facebook, fanta, fedex, ferrari, fiat, ford,
fujifilm, google, gopro, gucci, guinness, haribo, harley-davidson, heineken, honda, huawei,
hyundai, ikea, instagram, ipad, iphone, jaguar, jeep, kia, kodak, lamborghini, leica, lego,
lenovo, levi, levi's, lexus, lidl, lufthansa, macbook, mazda, mcdonald's, mcdonald, mercedes,
mercedes-benz, microsoft, milka, mitsubishi, nescafé, nestlé, netflix, nike, nikon, nintendo,
nissan, nokia, nutella, oktoberfest, olympus, omega, opel, panasonic, patagonia, pepsi, peugeot,
playmobil, playstation, polaroid, porsche, prada, puma, ray-ban, red bull, reebok, renault,
rewe, rolex, ryanair, samsung, seat, shell, siemens, skoda, smart, sony, starbucks, subaru,
suzuki, tesla, thinkpad, tiktok, toyota, twitter, uber, vans, vespa, volkswagen, volvo, vw,
walmart, whatsapp, xbox, xiaomi, yamaha, youtube, zara
""")

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero gennaio januari janeiro",
            "february feb februar février febrero febbraio februari fevereiro",
            "march märz mars marzo maart março",
            "april avril abril aprile",
            "may mai mayo maggio mei maio",
            "june juni juin junio giugno junho",
            "july juli juillet julio luglio julho",
            "august août agosto augustus",
            "september sept septembre septiembre settembre setembro",
            "october oct oktober octobre octubre ottobre outubro",
            "november nov novembre noviembre novembro",
            "december dec dezember décembre diciembre dicembre dezembro",
        ),
        1,
    )
    for name in names.split()
}

WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday montag", "tuesday dienstag", "wednesday mittwoch", "thursday donnerstag",
            "friday freitag", "saturday samstag sonnabend", "sunday sonntag",
        )
    )
    for name in names.split()
}  # fmt: skip

COMMON = _set("""
i, tv, suv, bmx, led, dj, bbq, atm, pc, id, rv, ufo, atv, cd, dvd, usb, hdr, uv, ok, t-shirt,
t-shirts, v-neck, x-ray, u-turn, s-curve, a-frame, vr, 3d, lcd, diy, vhs, mp3, wc, bw, african,
american, asian, european, african-american, caucasian, hispanic, latino, latina, indian,
chinese, japanese, korean, thai, vietnamese, italian, french, spanish, german, english, british,
irish, scottish, welsh, dutch, swiss, austrian, greek, turkish, russian, polish, swedish,
danish, norwegian, finnish, mexican, brazilian, egyptian, roman, arabic, hebrew, latin,
moroccan, mediterranean, caribbean, scandinavian, nordic, celtic, middle eastern, eastern,
western, victorian, gothic, baroque, renaissance, romanesque, art deco, art nouveau, georgian,
edwardian, tudor, neoclassical, medieval, christmas, easter, halloween, thanksgiving, hanukkah,
diwali, ramadan, carnival, new year, new year's, new year's eve, valentine, valentine's, santa,
santa claus, santa hat, weihnachten, ostern, ferris, adirondack, dutch oven, christian,
catholic, muslim, jewish, buddhist, hindu, islamic, buddha, jesus, christ, madonna, virgin mary,
mary, bible, god, labrador, retriever, shepherd, dalmatian, siamese, persian, husky, siberian,
siberian husky, golden retriever, german shepherd, border collie, yorkshire, yorkshire terrier,
jack russell, chihuahua, maine coon, bengal, holstein, bernese, bernese mountain dog, saint
bernard, st. bernard, great dane, cocker spaniel, shih tzu, french bulldog, corgi, cavalier king
charles, weimaraner, rottweiler, dachshund, poodle, beagle, icelandic, shetland, arabian, canada
goose, internet, wi-fi, wifi, bluetooth, web, earth, moon, sun, mars, venus, jupiter, milky way,
milky, way, north, south, east, west, northern lights, aurora, braille, roman numerals, french
fries, caesar, caesar salad, hawaiian, panama hat, bermuda, bermudas, oxford shirt, chelsea
boots, wellington, wellingtons, velcro, lycra, jeep-like, mr, mrs, ms, dr, sir, mohawk, swiss
army knife, afro, trojan, dixie, lego-like, mount, lake, river, no, yes, exit, stop, sale, open,
closed
""")
