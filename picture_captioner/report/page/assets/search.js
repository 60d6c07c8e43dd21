// Search: words in any form, or as the beginning of one, and conditions (grammar.js).
// The same answers as `caption.py search`; besides, a word finds who is there by name.

const LETTERS = { ß: "ss", æ: "ae", œ: "oe", ø: "o", ł: "l", đ: "d", ð: "d", þ: "th", ı: "i" };
const UNSPACED = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]/;

/** Lower case without diacritics, words apart by single spaces. */
function fold(value) {
  let folded = value.toLowerCase();
  if (/[^\u0000-\u007f]/.test(folded)) {
    folded = folded.normalize("NFKD").replace(/\p{M}/gu, "").replace(/[ßæœøłđðþı]/g, (c) => LETTERS[c]);
  }
  return folded.replace(/[^\p{L}\p{N}\p{Co}]+/gu, " ").trim();
}

const haystacks = new Array(count);

/** All in which a word can be found, a part between bars: no phrase goes over one. */
function haystack(i) {
  haystacks[i] ??= ` ${[photo.title(i), photo.caption(i), ...photo.tags(i), photo.text(i), photo.more(i), ...peopleOn(i).map((person) => person.name), stem(photo.path(i))].map(fold).join(" | ")} `;
  return haystacks[i];
}

/** All that is written of a photo, as `literally` compares it. */
const asWritten = (i) => asTyped([photo.title(i), photo.caption(i), ...photo.tags(i), photo.text(i), photo.more(i), ...peopleOn(i).map((person) => person.name), stem(photo.path(i))].join(" "));
const asTyped = (value) => value.toLowerCase().replace(VARIATION, "").replace(/\s+/g, " ");

const VARIATION = /[\ufe00-\ufe0f]/g;
const PLAIN_SIGNS = /(?<=w)[-'\u2019_/.,:;\u00b7\u2010-\u2014]+(?=w)|[.,;:!?\u2026)\]}'"\u2019\u201d\u00bb*]+(?=\s|$)|(?<!\S)[([{'"\u2018\u201c\u201e\u00ab\u00bf\u00a1*]+|(?<!\S)[-\u2010-\u2014]+(?!\S)/g;

/** Each letter as `w`, signs that tell nothing as spaces, and the others. */
const withoutPlainSigns = (text) => text.replace(/[\p{L}\p{N}\p{M}\p{Co}]/gu, (c) => "w".repeat(c.length)).replace(PLAIN_SIGNS, (signs) => " ".repeat(signs.length));

/** What must stand as it is typed (C++, AT&T, .NET, an emoji), else "" (library/words.py is the original). */
function literally(value) {
  const text = value.replace(VARIATION, ""), shape = withoutPlainSigns(text);
  return /[^w\s]/.test(shape) ? text.slice(shape.length - shape.trimStart().length, shape.trimEnd().length) : "";
}

/** Whether a photo has what must stand as it is typed, a word at its end or the beginning of one. */
function literalFinder(kind, literal, whole) {
  const typed = asTyped(literal), written = kind === "text" ? (i) => asTyped(photo.text(i)) : asWritten;
  const pieces = [...withoutPlainSigns(literal).matchAll(/[w ]+/g)].sort((a, b) => b[0].trim().length - a[0].trim().length);
  if (!pieces.length) return (i) => written(i).includes(typed);
  const [{ 0: longest, index }] = pieces, end = index + longest.length;
  const piece = fold(literal.slice(index, end)), begins = kind === "word" && !whole && end === literal.length;
  return (i) => holds(haystack(i), piece, begins) && written(i).includes(typed);
}

/** A path without the ending of the file's name. */
const stem = (path) => path.replace(/(?<=[^/])\.[^./]+$/, "");

/** Prepare in idle moments, so that the first letter typed is answered at once. */
function prepareSearch(from = 0) {
  const step = (deadline) => {
    let i = from;
    while (i < count && (i % 256 !== 0 || deadline.timeRemaining() > 2)) haystack(i++);
    if (i === from && i < count) haystack(i++);
    if (i < count) prepareSearch(i);
  };
  if (window.requestIdleCallback) requestIdleCallback(step);
  else setTimeout(() => step({ timeRemaining: () => 8 }), 30);
}

// Of each language of the library its words that are forms of one (payload.py).
const formsOf = raw.forms.map((groups) => {
  const forms = new Map();
  for (const group of groups) {
    const words = group.split(" ");
    for (const word of words) forms.set(word, words);
  }
  return forms;
});

// Of a word that no photo has, the forms are told by English endings alone.
const ENDINGS = [[/ies$/, "y"], [/(ss|sh|ch|x|z)es$/, "$1"], [/(?<=[^su])s$/, ""], [/(.)\1(?:ing|ed)$/, "$1"], [/(?:ing|ed)$/, ""], [/(?:ing|ed)$/, "e"]];

const rootsOf = (word) => [word, ...ENDINGS.map(([ending, instead]) => word.replace(ending, instead)).filter((root) => root.length > 1 && /[aeiouy]/.test(root))];

let byRoot = null;

/** The words of the library that may be other forms of one that it lacks. */
function relatives(word) {
  if (!byRoot) {
    byRoot = new Map();
    const known = new Set(Array.from(every, (i) => haystack(i).split(" ")).flat());
    for (const token of known) for (const root of rootsOf(token)) byRoot.set(root, (byRoot.get(root) ?? new Set()).add(token));
  }
  return byRoot.get(word)?.has(word) ? [] : [...new Set(rootsOf(word).flatMap((root) => [...(byRoot.get(root) ?? [])]))];
}

/** The forms of a word in a language. */
function formsIn(language, word) {
  const forms = formsOf[language];
  if (forms.has(word)) return forms.get(word);
  const found = word.length > 2 ? relatives(word) : []; // a short caption may count as another language
  return found.flatMap((one) => [one, ...(forms.get(one) ?? [])]);
}

/** Whether a photo has a word or phrase; `whole`: not as a mere beginning of one. */
function finder({ kind, value }, whole) {
  const literal = literally(value);
  if (literal) return literalFinder(kind, literal, whole);
  const folded = fold(value);
  if (kind === "text") return (i) => photo.text(i).split("\n").some((line) => holds(` ${fold(line)} `, folded)) || holds(` ${fold(photo.text(i))} `, folded);
  if (kind === "phrase" || folded.includes(" ")) return (i) => holds(haystack(i), folded, kind === "word" && !whole);
  const forms = formsOf.map((_, language) => formsIn(language, folded).map((form) => ` ${form} `));
  return (i) => holds(haystack(i), folded, !whole) || (columns.language[i] >= 0 && forms[columns.language[i]].some((form) => haystack(i).includes(form)));
}

/** Scripts without spaces match inside words. */
function holds(hay, folded, begins = false) {
  return hay.includes(UNSPACED.test(folded) ? folded : begins ? ` ${folded}` : ` ${folded} `);
}

const dayTaken = (i) => (Number.isNaN(photo.takenAt(i)) ? null : date(photo.takenAt(i)).toISOString().slice(0, 10));
const asciiLower = (value) => value.replace(/[A-Z]/g, (c) => c.toLowerCase());
/** How names are compared; of an emoji nothing would be left. */
const named = (value) => fold(value) || value.toLowerCase().trim();
const isCalled = (tag, wanted) => [tag, ...tag.split(">")].some((level) => named(level) === named(wanted) && asTyped(level).includes(asTyped(literally(wanted))));

const HAS = {
  caption: (i) => photo.caption(i) !== "", title: (i) => photo.title(i) !== "",
  tag: (i) => photo.tags(i).length > 0, text: (i) => photo.text(i) !== "", place: photo.located,
  face: photo.hasFace, vector: photo.hasVector,
  time: (i) => !Number.isNaN(photo.takenAt(i)), person: (i) => peopleOn(i).length > 0 || photo.toldPeople(i).length > 0,
};

const NOBODY = "Nobody in this report is called";

/** A condition as a function of a photo; throws a QueryError for somebody who is not known. */
function condition({ kind, value }) {
  if (kind === "has") return HAS[value];
  if (kind === "tag") return (i) => photo.tags(i).some((tag) => isCalled(tag, value));
  if (kind === "place") return (wanted => (i) => [photo.place(i), photo.placeDetail(i), ...photo.toldPlaces(i)].some((name) => ` ${named(name)}`.includes(wanted)))(` ${named(value)}`);
  if (kind === "camera") return (wanted => (i) => asciiLower(photo.camera(i)).includes(wanted))(asciiLower(value));
  if (kind === "status") return value === "suspect" ? photo.suspect : (i) => photo.lastStatus(i) === value;
  if (kind === "person") {
    const found = persons.filter((person) => person.id === value || person.name.toLowerCase() === value.toLowerCase());
    const told = (i) => photo.toldPeople(i).some((name) => named(name) === named(value));
    if (!found.length && !every.some(told)) throw new QueryError(`${NOBODY} ${value}.`);
    return (i) => peopleOn(i).some((person) => found.includes(person)) || told(i);
  }
  const [first, last] = value.split("..");
  return (i) => {
    const day = dayTaken(i);
    return day !== null && (!first || day >= first) && (!last || day <= last);
  };
}

/** The photos of a query among others, in their order; `some`: none has all of the words, these have some. */
function search(query, among) {
  const terms = parseQuery(query);
  if (!terms.length) return { found: [], some: false };
  const words = terms.filter((term) => WORDS.includes(term.kind) && !term.negated);
  const telling = words.filter((term) => term.kind !== "word" || !FUNCTION_WORDS.includes(term.value.toLowerCase()));
  const finders = (telling.length ? telling : words).map((term) => finder(term, false));
  const unwanted = terms.filter((term) => WORDS.includes(term.kind) && term.negated).map((term) => finder(term, true));
  const filters = [], anyOf = new Map();
  for (const term of terms.filter((one) => !WORDS.includes(one.kind))) {
    const holdsFor = condition(term);
    if (term.negated) filters.push((i) => !holdsFor(i));
    else if (ALTERNATIVES.includes(term.kind)) anyOf.set(term.kind, [...(anyOf.get(term.kind) ?? []), holdsFor]);
    else filters.push(holdsFor);
  }
  for (const some of anyOf.values()) filters.push((i) => some.some((one) => one(i)));
  const allowed = (i) => filters.every((one) => one(i)) && !unwanted.some((one) => one(i));
  const withAll = every.some((i) => finders.every((one) => one(i)));
  const found = Array.from(among).filter((i) => (withAll ? finders.every((one) => one(i)) : finders.some((one) => one(i))) && allowed(i));
  return { found, some: !withAll && found.length > 0 };
}
