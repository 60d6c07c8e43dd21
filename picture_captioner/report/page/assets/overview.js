// The first part: what the library is, its map, its themes, how the report was made.

let libraryMap = null;

function stat(value, label, href, tone) {
  const inside = [el("span", { class: "stat-value" }, value), el("span", { class: "stat-label" }, label)];
  return href ? el("a", { class: `stat ${tone ?? ""}`, href }, inside) : el("div", { class: "stat" }, inside);
}

function stats() {
  const events = several("event");
  return el("div", { class: "stats" },
    stat(number(count), count === 1 ? "photo" : "photos"),
    stat(number(captioned), "captioned"),
    stat(number(clusters.length), clusters.length === 1 ? "cluster" : "clusters", "#view=clusters"),
    stat(percent(head.noiseShare), "in no cluster", noise.length ? "#cluster=none" : null),
    stat(number(events), events === 1 ? "event" : "events", "#view=events"),
    persons.length > 0 && stat(number(persons.length), persons.length === 1 ? "person" : "people", "#view=people"),
    stat(number(duplicates.length), duplicates.length === 1 ? "duplicate group" : "duplicate groups", "#view=duplicates"),
    stat(number(failures.length), failures.length === 1 ? "error" : "errors", "#view=problems", failures.length ? "warn" : ""));
}

/** "2009 to 2024", if any capture time is known. */
function years() {
  let first = Infinity, last = -Infinity;
  for (const seconds of columns.takenAt) {
    if (seconds < first) first = seconds;
    if (seconds > last) last = seconds;
  }
  if (first > last) return "";
  return yearOf(first) === yearOf(last) ? `${yearOf(first)}` : `${yearOf(first)} to ${yearOf(last)}`;
}

const THEMES_LISTED = 60;

function themes() {
  const largest = bySize.length ? bySize[0].size : 1;
  const row = (cluster) => {
    const bar = el("span", { class: "bar", "aria-hidden": "true" });
    bar.style.width = `${(100 * cluster.size) / largest}%`;
    bar.style.background = cluster.colour;
    const show = (on) => () => libraryMap?.highlight(on ? cluster : null);
    return el("li", {}, el("a", {
      href: routeHash({ scope: "cluster", id: cluster.id }), title: plain(clusterName(cluster)),
      mouseenter: show(true), mouseleave: show(false), focus: show(true), blur: show(false),
    }, dot(cluster), el("span", { class: "theme-name", dir: "auto" }, clusterShortName(cluster)),
    el("span", { class: "theme-size" }, number(cluster.size)), bar));
  };
  return el("aside", { class: "themes", "aria-label": "Clusters by size" },
    el("h2", {}, "Themes"),
    el("ol", {}, bySize.slice(0, THEMES_LISTED).map(row)),
    bySize.length > THEMES_LISTED
      && el("a", { class: "more", href: "#view=clusters" }, `All ${number(bySize.length)} clusters`));
}

function making() {
  const fact = (name, value) => [el("dt", {}, name), el("dd", { dir: "auto" }, value)];
  return el("section", { class: "making", "aria-label": "How this report was made" },
    el("h2", {}, "How this report was made"),
    el("dl", {},
      fact("Made", `${DAY.format(date(head.madeAt))}, ${TIME.format(date(head.madeAt))}`),
      fact("Vectors", head.embedder),
      head.reason && fact("Chosen because", head.reason),
      fact("Clusters", `${head.engine}, at least ${photosText(head.minClusterSize)} each`),
      fact("Seed", head.seed === null ? "none: another run may group differently" : String(head.seed)),
      head.vocabularyFallbacks > 0 && fact("Labels", `${number(head.vocabularyFallbacks)} from the vocabulary`)),
    head.notes.length > 0 && el("ul", {}, head.notes.map((note) => el("li", { dir: "auto" }, note))));
}

/** Years, places, people, tags and cameras, to begin with. */
function browse() {
  const panel = facetPanel({ view: "overview" }, every);
  panel?.prepend(el("h2", {}, "Browse"));
  return panel;
}

function emptyMap() {
  if (!count) return empty("No photos yet", "This report was made of an empty library. Run the captioner, then make the report again.");
  return empty("No map yet", "No photo of this report has a vector, so there is nothing to place.", "overview");
}

function showOverview(parent) {
  const facts = [years(), `report of ${DAY.format(date(head.madeAt))}`].filter(Boolean).join(" · ");
  parent.append(heading(raw.library, facts));
  if (count) parent.append(stats());
  if (placed.length && head.themesGoBy) parent.append(el("p", { class: "basis", dir: "auto" }, head.themesGoBy));
  shownPhotos = placed;
  if (!placed.length) {
    parent.append(emptyMap(), browse() ?? "", making());
    return;
  }
  const host = el("div", { class: "map" });
  parent.append(el("div", { class: `atlas ${clusters.length ? "" : "atlas-alone"}` }, host, clusters.length > 0 && themes()), browse() ?? "", making());
  libraryMap = new LibraryMap(host, openFromMap, openClusterFromMap);
}

function openClusterFromMap(cluster) {
  followed = true;
  go({ scope: "cluster", id: cluster.id });
}

/** From the map, next and previous go through the photo's cluster. */
function openFromMap(i) {
  const cluster = clusters[clusterOf[i]];
  shownPhotos = cluster ? cluster.members : noise;
  go({ ...current, photo: i });
}
