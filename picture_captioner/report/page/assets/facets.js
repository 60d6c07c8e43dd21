// What was found, counted by year, place, person, tag and camera: a click adds the term to the query.

const FACETS_SHOWN = 8, FACETS_MOST = 60;

function tally(found, valuesOf) {
  const counts = new Map();
  for (const i of found) for (const value of new Set(valuesOf(i))) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

const said = (value) => (value ? [value] : []);
const FACETS = [
  ["Years", "date", (i) => (Number.isNaN(photo.takenAt(i)) ? [] : [String(yearOf(photo.takenAt(i)))])],
  ["Places", "place", (i) => said(photo.place(i))],
  ["People", "person", (i) => [...peopleOn(i).map((person) => person.name).filter(Boolean), ...toldAlone(i)]],
  ["Tags", "tag", (i) => photo.tags(i)],
  ["Cameras", "camera", (i) => said(photo.camera(i))],
];

/** The query with a term, or without it where it is there. */
function toggled(query, term) {
  const pieces = [...query.matchAll(PIECE)].map((piece) => piece[0]);
  return (pieces.includes(term) ? pieces.filter((piece) => piece !== term) : [...pieces, term]).join(" ");
}

function facetChip(route, kind, value, n) {
  const term = termText(kind, value), query = route.q ?? "";
  const on = [...query.matchAll(PIECE)].some((piece) => piece[0] === term);
  const q = toggled(query, term);
  return el("a", { class: "chip", dir: "auto", "aria-current": on && "true", href: routeHash({ ...route, view: "overview", q: q || undefined, photo: undefined }) },
    value, el("span", { class: "badge" }, number(n)));
}

function facetLine([title, kind, valuesOf], route, found) {
  const counts = tally(found, valuesOf);
  const sorted = [...counts].sort((a, b) => (kind === "date" ? b[0].localeCompare(a[0]) : b[1] - a[1] || a[0].localeCompare(b[0])));
  const chips = sorted.slice(0, FACETS_MOST).map(([value, n]) => facetChip(route, kind, value, n));
  if (!chips.length) return null;
  const more = chips.splice(FACETS_SHOWN);
  const line = el("div", { class: "facet", role: "group", "aria-label": title }, el("span", { class: "facet-name" }, title), el("div", { class: "chips" }, chips));
  if (more.length) {
    const open = el("button", { type: "button", class: "chip", click: () => open.replaceWith(...more) }, `${number(more.length)} more`);
    line.lastElementChild.append(open);
  }
  return line;
}

/** A line for each kind of which there is something to choose. */
function facetPanel(route, found) {
  const lines = FACETS.map((facet) => facetLine(facet, route, found)).filter(Boolean);
  return lines.length ? el("section", { class: "facets", "aria-label": "Narrow down" }, lines) : null;
}

// What a query asks for that no photo has, and the nearest that there is.

const NAMES_OF = {
  word: (i) => haystack(i).split(" "),
  person: (i) => [...peopleOn(i).map((person) => person.name), ...toldAlone(i)],
  place: (i) => [photo.place(i).split(",")[0]],
  tag: photo.tags,
  camera: (i) => [photo.camera(i)],
};

/** How many letters to leave out, put in, change or swap with the next lead from one word to another. */
function changes(a, b) {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 1; j <= b.length; j++) rows[0][j] = j;
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a[i - 1] !== b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[a.length][b.length];
}

const namesByPart = {};

/** The names of a kind by what they and each of their words are folded to; made once, of all photos. */
function partsOf(kind) {
  if (!namesByPart[kind]) {
    const names = new Set(), parts = namesByPart[kind] = new Map();
    for (const i of every) for (const name of NAMES_OF[kind](i)) names.add(name);
    for (const name of names) {
      const folded = fold(name);
      for (const part of [folded, ...folded.split(" ")]) if (!parts.has(part)) parts.set(part, name);
    }
  }
  return namesByPart[kind];
}

/** The name that, or a word of which, has the fewest letters changed, of a third at most; "" for none. */
function nearest(wanted, kind) {
  let best = "", fewest = Math.floor(wanted.length / 3) + 1;
  for (const [part, name] of partsOf(kind)) {
    if (Math.abs(part.length - wanted.length) >= fewest) continue;
    const found = changes(wanted, part);
    if (found < fewest) [best, fewest] = [name, found];
  }
  return best;
}

/** The pieces of a query that no photo answers to, and the query with the nearest in their place ("" without). */
function lacking(query) {
  const lacks = [], pieces = [];
  for (const [typed] of query.matchAll(PIECE)) {
    const [{ kind, value, negated } = {}] = parseQuery(typed);
    const near = !negated && kind in NAMES_OF && !searched(typed, every).found.length && (lacks.push(typed), nearest(fold(value), kind));
    pieces.push(near ? (kind === "word" ? near : termText(kind, near)) : typed);
  }
  const instead = pieces.join(" ");
  return { lacks, instead: lacks.length && instead !== query.trim() ? instead : "" };
}

/** What is shown where a query finds nothing. */
function nothingFound(query, fault) {
  if (fault && !fault.startsWith(NOBODY)) return empty("Nothing found", fault, "search");
  const { lacks, instead } = lacking(query);
  const why = lacks.length ? `No photo has ${lacks.join(", nor ")}.` : "No photo has all of this.";
  const shown = empty("Nothing found", fault || why, "search");
  if (instead) shown.append(el("p", {}, "Did you mean ", el("a", { dir: "auto", href: routeHash({ view: "overview", q: instead }) }, instead), "?"));
  return shown;
}
