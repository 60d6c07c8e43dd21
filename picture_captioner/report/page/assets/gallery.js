// Photos in rows, and the cards that stand for groups of them.

/** The list of photos on the page now: what the viewer goes through. */
let shownPhotos = every;
let list = null;

function showList(next) {
  list?.destroy();
  list = next;
  return next;
}

function listHost(label) {
  return el("div", { class: "list", role: "list", "aria-label": label });
}

const rowHeight = (width) => (width < 560 ? 118 : width < 1000 ? 168 : 208);
const galleryGap = (width) => (width < 560 ? 3 : 6);

/** A gallery of photos in the given order. */
function gallery(parent, photos, label) {
  shownPhotos = photos;
  const host = listHost(label);
  parent.append(host);
  const arrange = (width) => justifiedLayout(photos, width, rowHeight(width), galleryGap(width));
  showList(new VirtualList(host, photos.length, arrange, (k) => tile(photos[k], k, photos.length)));
  list.photos = photos;
}

/** After the viewer: the focus goes to the photo that was seen last. */
function focusPhoto(i) {
  const k = list?.photos?.indexOf(i) ?? -1;
  if (k >= 0) list.focus(k);
  else $("main").querySelector(`[data-photo="${i}"]`)?.focus();
}

function tile(i, k, total) {
  return el("div", { class: "tile", role: "listitem", "aria-posinset": k + 1, "aria-setsize": total },
    el("a", { href: routeHash({ ...current, photo: i }), "data-photo": i, "aria-label": plain(photo.alt(i)) },
      picture(i),
      photo.thumbnail(i) && photo.caption(i)
        && el("span", { class: "tile-caption", dir: "auto", "aria-hidden": "true" }, photo.caption(i))));
}

/** One large and two small pictures. */
function mosaic(photos) {
  const withPicture = Array.from(photos.slice(0, 40)).filter((i) => photo.thumbnail(i) !== null).slice(0, 3);
  const shown = withPicture.length ? withPicture : Array.from(photos.slice(0, 1));
  return el("span", { class: `mosaic mosaic-${shown.length}`, "aria-hidden": "true" },
    shown.map((i) => el("span", {}, picture(i))));
}

/** A card that opens a group: pictures, a name, a line below, keywords. */
function card({ href, photos, title, line, size, keywords = [], cluster }) {
  return el("div", { class: "card", role: "listitem" },
    el("a", { href, "aria-label": plain(`${title}, ${photosText(size)}`) },
      mosaic(photos),
      el("span", { class: "card-text" },
        el("span", { class: "card-title", dir: "auto" }, cluster !== undefined && dot(cluster), title),
        el("span", { class: "card-line" }, line),
        keywords.length > 0 && el("span", { class: "card-keywords", dir: "auto" }, keywords.join(" · ")))));
}

/** Headers and cards in rows; `kinds` says of each kind how tall it is and how it is made. */
function flow(parent, items, kinds, label, gap = 20) {
  shownPhotos = every;
  const host = listHost(label);
  parent.append(host);
  const measure = (item) => kinds[item.kind].measure(item);
  const arrange = (width) => flowLayout(items, width, measure, width < 560 ? 14 : gap);
  showList(new VirtualList(host, items.length, arrange, (k) => kinds[items[k].kind].render(items[k])));
}

const headerKind = {
  measure: () => ({ height: 44 }),
  render: (item) => el("div", { class: "group-header", role: "listitem" },
    el("h2", { dir: "auto" }, item.title), item.note && el("span", { class: "note" }, item.note)),
};

const cardSize = () => (innerWidth < 560 ? { column: 160, height: 232 } : { column: 240, height: 290 });

/** Title, a line below it, and what else belongs at the top of a part of the report. */
function heading(title, line, ...more) {
  return el("div", { class: "heading" },
    el("div", { class: "heading-text" }, el("h1", { dir: "auto" }, title), line && el("p", { class: "lead" }, line)),
    more);
}

function keywordChips(keywords) {
  return el("div", { class: "chips" }, keywords.map((word) =>
    el("a", { class: "chip", href: routeHash({ view: "overview", q: word }), dir: "auto" }, word)));
}
