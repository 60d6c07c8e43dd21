// People: a round face for each, and the page of one: photos, who else is there, when.

const persons = (raw.people?.persons ?? []).map((person) => ({ ...person, members: column(person.members, person.size) }));
const personOf = new Map(persons.map((person) => [person.id, person]));
const personName = (person) => person.name || "Not named yet";
const peopleText = (n) => plural(n, "person", "people");

let onPhoto = null;

/** Who is on a photo. */
function peopleOn(i) {
  if (!onPhoto) {
    onPhoto = new Map();
    for (const person of persons) for (const k of person.members) onPhoto.set(k, [...(onPhoto.get(k) ?? []), person]);
  }
  return onPhoto.get(i) ?? [];
}

/** A face by its picture's name; a calm stand-in where there is none. */
function face(crop, words = "") {
  const blank = () => icon("people");
  const image = crop && el("img", { src: `${FILES}${crop.slice(0, 2)}/${crop}.webp`, alt: plain(words), decoding: "async", draggable: "false" });
  if (image) image.addEventListener("error", () => image.replaceWith(blank()));
  return el("span", { class: "face" }, image || blank());
}

const personKind = {
  measure: () => (innerWidth < 560 ? { column: 104, height: 176 } : { column: 150, height: 202 }),
  render: ({ person }) => el("div", { class: "person", role: "listitem" },
    el("a", { href: routeHash({ scope: "person", id: person.id }), "aria-label": plain(`${person.name || person.id}, ${photosText(person.size)}`) },
      face(person.crop),
      el("span", { class: `person-name ${person.name ? "" : "unnamed"}`, dir: "auto" }, person.name || person.id),
      el("span", { class: "card-line" }, photosText(person.size)))),
};

/** A command, which a click copies. */
function typed(answer, command) {
  return el("button", { type: "button", class: "type", title: "Copy", click: (event) => copyText(command, event.currentTarget.querySelector("span")) },
    el("span", {}, answer), el("code", {}, command));
}

function showPeople(parent) {
  if (!persons.length) {
    parent.append(heading("People"), empty("No people", `Nobody was looked for in these photos. To find faces: ${head.commands["people scan"]}, then ${head.commands["people cluster"]}.`, "people"));
    return;
  }
  const named = persons.filter((person) => person.name), others = persons.filter((person) => !person.name);
  const asked = raw.people.questions.length + raw.people.more;
  const line = [named.length && `${number(named.length)} with a name`, others.length && `${number(others.length)} without${named.length ? "" : " a name"}`].filter(Boolean).join(", ");
  parent.append(heading("People", `${line}. Who is hidden is not shown.`,
    asked > 0 && el("a", { class: "button asks", href: "#view=review" }, `${plural(asked, "question")} for you`)));
  const items = named.map((person) => ({ kind: "person", person }));
  if (others.length && named.length) items.push({ kind: "header", title: "Not named yet" });
  items.push(...others.map((person) => ({ kind: "person", person })));
  flow(parent, items, { person: personKind, header: headerKind }, "People", 14);
}

/** Who else is on these photos, most often first. */
function company(person) {
  const counts = new Map();
  for (const i of person.members) {
    for (const other of peopleOn(i)) if (other !== person) counts.set(other, (counts.get(other) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0].id < b[0].id ? -1 : 1));
}

const COMPANY_SHOWN = 24;

function companyChips(person, chosen) {
  const found = company(person);
  if (!found.length) return "";
  return el("div", { class: "together", role: "group", "aria-label": "Together with" }, el("span", { class: "note" }, "Together with"),
    found.slice(0, COMPANY_SHOWN).map(([other, n]) => el("a", {
      class: "chip", dir: "auto", "aria-current": other === chosen ? "true" : null,
      href: routeHash({ scope: "person", id: person.id, beside: other === chosen ? undefined : other.id }),
    }, face(other.crop), other.name || other.id, el("span", { class: "badge" }, number(n)))));
}

/** "2013 to 2024"; empty if no photo is dated. */
function yearsOf(photos) {
  const dated = Array.from(photos).map(photo.takenAt).filter((taken) => !Number.isNaN(taken)).map(yearOf);
  if (!dated.length) return "";
  const first = Math.min(...dated), last = Math.max(...dated);
  return first === last ? String(first) : `${first} to ${last}`;
}

/** Bars by month that lead to their place in the gallery; the photos are in order of time. */
function personTimeline(photos) {
  const dated = Array.from(photos).filter((i) => !Number.isNaN(photo.takenAt(i)));
  const shown = dated.map((i) => ({ start: photo.takenAt(i), size: 1 }));
  const months = new Map();
  shown.forEach((one, k) => { if (!months.has(monthKey(one))) months.set(monthKey(one), k); });
  return months.size > 1 ? timeline(shown, months) : "";
}

function personScope(route) {
  const person = personOf.get(route.id);
  if (!person) return null;
  const beside = personOf.get(route.beside);
  const photos = beside ? person.members.filter((i) => peopleOn(i).includes(beside)) : person.members;
  const title = beside ? `${person.name || person.id} and ${beside.name || beside.id}` : person.name || personName(person);
  return {
    photos, title, view: "people", all: "All people", keywords: [],
    line: [photosText(photos.length), yearsOf(photos), person.name ? "" : person.id].filter(Boolean).join(" · "),
    top: (node) => el("div", { class: "about" }, face(person.crop, person.name), node,
      !person.name && typed("To name", `${head.commands["people name"]} ${person.id} NAME`)),
    more: () => [companyChips(person, beside), route.q ? "" : personTimeline(photos)],
  };
}

/** The names that other programs gave, of those whose face was not found here. */
function toldAlone(i) {
  const found = new Set(peopleOn(i).map((person) => named(person.name)));
  return photo.toldPeople(i).filter((name) => !found.has(named(name)));
}

/** For the viewer: everybody on a photo, as links. */
function peopleLinks(i) {
  return [
    ...peopleOn(i).map((person) => [routeHash({ scope: "person", id: person.id }), person.name || person.id]),
    ...toldAlone(i).map((name) => [routeHash({ view: "overview", q: termText("person", name) }), name]),
  ].flatMap(([href, name], k) => [k ? ", " : "", el("a", { href, dir: "auto" }, name)]);
}
