// Elements, and how numbers, dates and names are written.

const $ = (id) => document.getElementById(id);

/** Characters that would hide, reorder or control text, made visible. */
function plain(value) {
  return value
    .replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u202a-\u202e\u2066-\u2069\u2028\u2029]/g, "\ufffd")
    .toWellFormed();
}

/**
 * A new element. Attributes are set as attributes, functions become listeners, strings among the
 * children become text: nothing is ever parsed as markup.
 */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(typeof child === "object" ? child : plain(String(child)));
  }
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** A dot in a cluster's colour; grey for none. */
function dot(cluster) {
  const node = el("span", { class: "dot", "aria-hidden": "true" });
  if (cluster) node.style.setProperty("--dot", cluster.colour);
  return node;
}

const number = (value) => value.toLocaleString("en");
const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;
const photosText = (n) => plural(n, "photo");

// Capture times are what the clock on the wall showed: they are formatted as they are.
const formatter = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
const DAY = formatter({ day: "numeric", month: "long", year: "numeric" });
const WEEKDAY = formatter({ weekday: "long", day: "numeric", month: "long", year: "numeric" });
const SHORT_DAY = formatter({ day: "numeric", month: "short" });
const TIME = formatter({ hour: "2-digit", minute: "2-digit" });
const MONTH = formatter({ month: "long" });
const date = (seconds) => new Date(seconds * 1000);
const yearOf = (seconds) => date(seconds).getUTCFullYear();
const monthOf = (seconds) => date(seconds).getUTCMonth();

const sameDay = (a, b) => Math.floor(a / 86400) === Math.floor(b / 86400);

/** "12 July 2024" (in short "12 Jul 2024"), "12 Jul to 3 Aug 2024". */
function span(start, end, short = false) {
  if (sameDay(start, end)) return short ? `${SHORT_DAY.format(date(start))} ${yearOf(start)}` : DAY.format(date(start));
  const year = yearOf(start) === yearOf(end) ? "" : ` ${yearOf(start)}`;
  return `${SHORT_DAY.format(date(start))}${year} to ${SHORT_DAY.format(date(end))} ${yearOf(end)}`;
}

function fileSize(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

/** What is shown where there is no picture. */
function blank(i, words = true) {
  return el("span", { class: "blank" }, icon("photo"),
    words && el("span", { class: "blank-text", dir: "auto" },
      photo.caption(i) || photo.title(i) || photo.name(i)));
}

/** The thumbnail of a photo, or a calm stand-in. */
function picture(i, { words = true } = {}) {
  const source = photo.thumbnail(i);
  if (source === null) return blank(i, words);
  const image = el("img", { src: source, alt: plain(photo.alt(i)), decoding: "async", draggable: "false" });
  image.addEventListener("error", () => image.replaceWith(blank(i, words)));
  return image;
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

function announce(words) {
  $("announcer").textContent = words;
}

function empty(title, words, name = "photo") {
  return el("div", { class: "empty" }, icon(name), el("h2", {}, title), el("p", {}, words));
}
