// The keyboard.

const KEYS = [
  ["/", "Search"],
  [`1 … ${TABS.length}`, listed(TABS, TABS.length)],
  ["← ↑ ↓ →", "Move between photos and cards; in a photo, to the next or previous one"],
  ["Enter", "Open"],
  ["Esc", "Close, or leave the search"],
  ["+  −  0", "On the map: zoom in, zoom out, show everything"],
  ["T", "Light, dark, or as the system"],
  ["?", "These keys"],
];

function showKeys() {
  const close = () => $("keys").close();
  $("keys").replaceChildren(
    el("div", { class: "panel-bar" }, el("h2", { id: "keys-title" }, "Keys"),
      el("button", { type: "button", class: "round", "aria-label": "Close", click: close }, icon("close"))),
    el("dl", {}, KEYS.map(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)])));
  $("keys").showModal();
}

function moveFocus(key) {
  if (!list?.length) return false;
  const at = list.focused();
  const step = key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1;
  let next = at < 0 ? Math.min(list.firstBelow($("bar").offsetHeight - list.host.getBoundingClientRect().top), list.length - 1)
    : list.neighbour(at, key);
  const opens = (k) => list.nodes.get(k) === undefined || list.nodes.get(k).querySelector("a, button");
  while (!opens(next) && next + step >= 0 && next + step < list.length) next += step;
  list.focus(next);
  return true;
}

function typing(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

function onKey(event) {
  if (event.metaKey || event.ctrlKey || event.altKey || $("keys").open) return;
  const keys = typing(event.target) ? inSearch : viewer.open ? inViewer : onPage;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (Object.hasOwn(keys, key) && keys[key](key) !== false) event.preventDefault();
}

const inSearch = {
  Escape() {
    $("query").value = "";
    $("query").blur();
    setQuery("");
  },
  ArrowDown: (key) => moveFocus(key),
  /** To the first photo that was found, also when the letters were typed a moment ago. */
  Enter() {
    const before = location.hash;
    setQuery($("query").value);
    if (location.hash === before) moveFocus("ArrowDown");
    else addEventListener("hashchange", () => moveFocus("ArrowDown"), { once: true });
  },
};

const inViewer = {
  ArrowLeft: () => turnPhoto(-1),
  ArrowRight: () => turnPhoto(1),
  Home: () => go({ ...current, photo: shownPhotos[0] }, { replace: true }),
  End: () => go({ ...current, photo: shownPhotos[shownPhotos.length - 1] }, { replace: true }),
  "?": showKeys,
};

const onPage = {
  "/": () => { $("query").focus(); $("query").select(); },
  "?": showKeys,
  t: nextTheme,
  ArrowLeft: moveFocus, ArrowRight: moveFocus, ArrowUp: moveFocus, ArrowDown: moveFocus,
  Escape() {
    if (current.scope || current.q) go({ view: scopeOf(current)?.view ?? current.view });
    else return false;
    return true;
  },
};
TABS.forEach((view, k) => { onPage[k + 1] = () => go({ view }); });
document.addEventListener("keydown", onKey);
