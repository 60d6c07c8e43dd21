// Search: every word of the query must begin a word of caption, title, tags, path or the
// name of somebody who is there.

const LETTERS = { ß: "ss", æ: "ae", œ: "oe", ø: "o", ł: "l", đ: "d", ð: "d", þ: "th", ı: "i" };
const UNSPACED = /[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]/;

/** Lower case without diacritics, words apart by single spaces. */
function fold(value) {
  let folded = value.toLowerCase();
  if (/[^\u0000-\u007f]/.test(folded)) {
    folded = folded.normalize("NFKD").replace(/\p{M}/gu, "").replace(/[ßæœøłđðþı]/g, (c) => LETTERS[c]);
  }
  return folded.replace(/[^\p{L}\p{N}]+/gu, " ").trim();
}

const haystacks = new Array(count);

function haystack(i) {
  haystacks[i] ??= " " + fold([photo.caption(i), photo.title(i), ...photo.tags(i), ...peopleOn(i).map((person) => person.name), photo.path(i)].join(" "));
  return haystacks[i];
}

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

/** Those of `among` that match, in their order. Scripts without spaces match inside words. */
function search(query, among) {
  const words = fold(query).split(" ").filter(Boolean);
  const needles = words.map((word) => (UNSPACED.test(word) ? word : ` ${word}`));
  if (!needles.length) return [];
  return Array.from(among).filter((i) => needles.every((needle) => haystack(i).includes(needle)));
}
