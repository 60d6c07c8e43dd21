// Puts the parts together: tabs, search field, theme, and what the address asks for.

const THEMES = ["auto", "light", "dark"];
const THEME_NAMES = { auto: "as the system", light: "light", dark: "dark" };

/** What this browser remembers; nothing where it may not. */
const memory = {
  get() {
    try { return localStorage.getItem("photo-report-theme"); } catch { return null; }
  },
  set(theme) {
    try { localStorage.setItem("photo-report-theme", theme); } catch { /* the choice lasts for this visit */ }
  },
};

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  const label = `Colours: ${THEME_NAMES[theme]} (T)`;
  $("theme").title = label;
  $("theme").setAttribute("aria-label", label);
  libraryMap?.redraw();
}

function nextTheme() {
  const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  memory.set(theme);
  setTheme(theme);
  announce(`Colours: ${THEME_NAMES[theme]}`);
}

const COUNTS = {
  clusters: clusters.length, events: several("event"),
  people: persons.length, duplicates: duplicates.length, problems: failures.length,
};

function drawTabs() {
  $("tabs").replaceChildren(...TABS.map((view) =>
    el("a", { href: routeHash({ view }), "data-view": view }, icon(view), el("span", { class: "tab-name" }, listed([view], 1)),
      COUNTS[view] > 0 && el("span", { class: "badge" }, number(COUNTS[view])))));
}

function markTab() {
  const view = current.scope ? scopeOf(current)?.view : current.view === "review" ? "people" : current.q && current.view === "overview" ? null : current.view;
  for (const tab of $("tabs").children) {
    if (tab.dataset.view === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
}

const PARTS = {
  overview: showOverview, clusters: showClusters, events: showEvents, people: showPeople, review: showReview,
  duplicates: showDuplicates, problems: showProblems,
};

function showScope(parent, route) {
  const scope = scopeOf(route);
  if (!scope) {
    parent.append(empty("Not in this report", "The address names a group that this report does not have; a newer run may have changed it."));
    return;
  }
  const { found, fault } = route.q ? searched(route.q, scope.photos) : { found: scope.photos, fault: "" };
  const back = el("a", { class: "back", href: routeHash({ view: scope.view, level: scope.level === "event" ? undefined : scope.level }) }, icon("left"), scope.all);
  const title = heading(scope.title, scope.line);
  parent.append(back, scope.top ? scope.top(title) : title, keywordChips(scope.keywords), ...(scope.more ? scope.more() : []));
  if (route.q) parent.append(filterLine(route, found.length));
  if (found.length) gallery(parent, found, scope.title);
  else parent.append(empty("Nothing found", fault || `No photo here matches “${route.q ?? ""}”.`, "search"));
}

function filterLine(route, n) {
  announce(`${photosText(n)} found`);
  return el("p", { class: "filter" }, `${photosText(n)} matching “${route.q}”`,
    el("a", { href: routeHash({ view: "overview", q: route.q }) }, "Search everywhere"),
    el("a", { href: routeHash({ ...route, q: undefined, photo: undefined }) }, "Clear"));
}

const CLUSTERS_NAMED = 8;

/** The clusters in which most of what was found lies. */
function clusterChips(found, q) {
  const counts = new Map();
  for (const i of found) if (clusterOf[i] !== NOISE) counts.set(clusterOf[i], (counts.get(clusterOf[i]) ?? 0) + 1);
  const most = [...counts].sort((a, b) => b[1] - a[1]).slice(0, CLUSTERS_NAMED);
  if (most.length < 2) return null;
  return el("div", { class: "chips", role: "group", "aria-label": "Narrow down to a cluster" }, most.map(([place, n]) =>
    el("a", { class: "chip", dir: "auto", href: routeHash({ scope: "cluster", id: clusters[place].id, q }) },
      dot(clusters[place]), clusterShortName(clusters[place]), el("span", { class: "badge" }, number(n)))));
}

/** What a query finds, or what is wrong with it. */
function searched(query, among) {
  try {
    const { found, some } = search(query, among);
    return { found: Uint32Array.from(found), some, fault: "" };
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return { found: new Uint32Array(), some: false, fault: error.message };
  }
}

function showSearch(parent, route) {
  const { found, some, fault } = searched(route.q, every);
  announce(fault || `${photosText(found.length)} found`);
  parent.append(heading(photosText(found.length), `${some ? "with some of the words, since none has all," : ""} matching “${route.q}”`.trim()), facetPanel(route, found) ?? "", clusterChips(found, route.q) ?? "");
  if (found.length) gallery(parent, found, "Search results");
  else parent.append(nothingFound(route.q, fault));
}

const scrolls = new Map();
let shownKey = null;
let followed = false;

function showRoute() {
  const before = current;
  current = parseRoute(location.hash);
  const key = listKey(current);
  if (key !== shownKey) {
    if (shownKey !== null) scrolls.set(shownKey, scrollY);
    drawPart();
    scrollTo({ top: followed || shownKey === null ? 0 : scrolls.get(key) ?? 0, behavior: "instant" });
    list?.update();
    shownKey = key;
  }
  followed = false;
  markTab();
  if (document.activeElement !== $("query")) $("query").value = current.q ?? "";
  showOrHidePhoto(before);
}

function drawPart() {
  showList(null);
  libraryMap?.destroy();
  libraryMap = null;
  const part = el("div", { class: "part" });
  $("main").replaceChildren(part);
  if (current.scope) showScope(part, current);
  else if (current.q) showSearch(part, current);
  else PARTS[current.view](part, current);
  document.title = plain(`${part.querySelector("h1")?.textContent ?? "Report"} · ${raw.library}`);
}

function showOrHidePhoto(before) {
  if (current.photo !== undefined) {
    if (before.photo === undefined && shownKey === listKey(before)) opener = history.length;
    showPhoto(current.photo);
  } else if (viewer.open || before.photo !== undefined) {
    viewer.close();
    opener = -1;
    focusPhoto(before.photo);
  }
}

let pendingQuery = 0;

/** Letters of one search replace each other in the history; its beginning is a step. */
function setQuery(q) {
  clearTimeout(pendingQuery);
  const next = { ...current, photo: undefined, q: q.trim() ? q : undefined };
  if (listKey(next) !== listKey(current)) go(next, { replace: Boolean(current.q) });
}

$("query").addEventListener("input", () => {
  clearTimeout(pendingQuery);
  pendingQuery = setTimeout(() => setQuery($("query").value), count > 5000 ? 140 : 40);
});
$("query").addEventListener("focus", () => prepareSearch(), { once: true });
$("theme").addEventListener("click", nextTheme);
$("help").addEventListener("click", showKeys);
$("skip").addEventListener("click", () => $("main").focus());
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='#']");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) followed = link.getAttribute("href") !== location.hash;
});
addEventListener("hashchange", showRoute);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => libraryMap?.redraw());

history.scrollRestoration = "manual";
$("brand").textContent = plain(raw.library);
setTheme(THEMES.includes(memory.get()) ? memory.get() : "auto");
drawTabs();
showRoute();
prepareSearch();
