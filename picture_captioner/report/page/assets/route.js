// What is shown is told by the address after #, so that Back, bookmarks and links work.

const TABS = ["overview", "clusters", "events", ...(raw.people ? ["people"] : []), "duplicates", "problems"];
const VIEWS = [...TABS, "people", "review"];
const LEVELS = ["event", "day", "trip"];
const SCOPES = ["cluster", ...LEVELS, "group"];

function parseRoute(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const route = { view: VIEWS.includes(given.get("view")) ? given.get("view") : "overview" };
  for (const scope of SCOPES) {
    const id = given.get(scope);
    if (id !== null && /^(none|\d{1,9})$/.test(id)) {
      Object.assign(route, { scope, id });
      break;
    }
  }
  if (!route.scope && given.get("person")) {
    Object.assign(route, { scope: "person", id: given.get("person") });
    if (given.get("beside")) route.beside = given.get("beside");
  }
  if (LEVELS.includes(given.get("level"))) route.level = given.get("level");
  if (given.get("q")?.trim()) route.q = given.get("q");
  const place = Number(given.get("photo") ?? NaN);
  if (Number.isInteger(place) && place >= 0 && place < count) route.photo = place;
  return route;
}

function routeHash(route) {
  const parts = new URLSearchParams();
  if (route.scope) parts.set(route.scope, route.id);
  else if (route.view !== "overview" || !route.q) parts.set("view", route.view);
  if (route.level && !route.scope) parts.set("level", route.level);
  if (route.beside) parts.set("beside", route.beside);
  if (route.q) parts.set("q", route.q.toWellFormed());
  if (route.photo !== undefined) parts.set("photo", route.photo);
  return `#${parts}`;
}

let current = parseRoute(location.hash);

/** Show something else; `replace` when Back should not return to what is shown now. */
function go(route, { replace = false } = {}) {
  const hash = routeHash(route);
  if (hash === location.hash) return;
  if (replace) location.replace(hash);
  else location.hash = hash;
}

/** The same without a photo: two addresses with equal keys show the same list. */
function listKey(route) {
  return routeHash({ ...route, photo: undefined });
}
