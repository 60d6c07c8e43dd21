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
  ["People", "person", (i) => peopleOn(i).filter((person) => person.name).map((person) => person.name)],
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
