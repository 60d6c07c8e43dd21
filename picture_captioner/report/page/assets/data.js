// The report's data, unpacked: columns become typed arrays (payload.py is the other side).

const FILES = "cluster_report_files/thumbnails/";
const UNPLACED = 65535;
const LINKED = 1, SHOWN = 2, PLACEHOLDER = 4, LOCATED = 8, SUSPECT = 16, HAS_VECTOR = 32, HAS_FACE = 64, DAY_ONLY = 128;
const STATUSES = [null, "success", "error_corrupt", "error_api", "error_model"];
const ARRAYS = {
  i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array,
  i4: Int32Array, u4: Uint32Array, f8: Float64Array,
};

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** A column as an array of `count` numbers; a lone number stands for all of them. */
function column(packed, count) {
  if (typeof packed === "number") return new Float64Array(count).fill(packed);
  return new ARRAYS[packed.t](bytesOf(packed.d).buffer);
}

const raw = JSON.parse(document.getElementById("data").textContent);
document.getElementById("data").remove();

const count = raw.photos.count;
const columns = {};
for (const name of ["folder", "flags", "status", "redo", "caption", "title", "error", "camera", "text", "more", "place", "placeDetail",
  "toldPeople", "toldPlaces", "language", "takenAt", "width", "height", "size", "x", "y"]) {
  columns[name] = column(raw.photos[name], count);
}
const tagEnds = column(raw.photos.tags.ends, count);
const tagTexts = column(raw.photos.tags.text, count ? tagEnds[count - 1] : 0);
const thumbnails = bytesOf(raw.photos.thumbnails);
const DIGEST_BYTES = 10;

const text = (place) => (place < 0 ? "" : raw.texts[place]);

/** What is known of a photo; every function takes its index. */
const photo = {
  name: (i) => raw.photos.name[i],
  folder: (i) => (columns.folder[i] < 0 ? "" : raw.photos.folders[columns.folder[i]]),
  path(i) {
    return columns.folder[i] < 0 ? photo.name(i) : `${photo.folder(i)}/${photo.name(i)}`;
  },
  caption: (i) => text(columns.caption[i]),
  title: (i) => text(columns.title[i]),
  error: (i) => text(columns.error[i]),
  camera: (i) => text(columns.camera[i]),
  text: (i) => text(columns.text[i]),
  more: (i) => text(columns.more[i]),
  place: (i) => text(columns.place[i]),
  placeDetail: (i) => text(columns.placeDetail[i]),
  /** Names that other programs gave. */
  toldPeople: (i) => text(columns.toldPeople[i]).split("\n").filter(Boolean),
  toldPlaces: (i) => text(columns.toldPlaces[i]).split("\n").filter(Boolean),
  status: (i) => STATUSES[columns.status[i]],
  failed: (i) => columns.status[i] > 1,
  placeholder: (i) => (columns.flags[i] & PLACEHOLDER) !== 0,
  located: (i) => (columns.flags[i] & LOCATED) !== 0,
  suspect: (i) => (columns.flags[i] & SUSPECT) !== 0,
  hasVector: (i) => (columns.flags[i] & HAS_VECTOR) !== 0,
  hasFace: (i) => (columns.flags[i] & HAS_FACE) !== 0,
  /** How the last attempt ended, be it after the caption's. */
  lastStatus: (i) => STATUSES[columns.redo[i]] ?? STATUSES[columns.status[i]] ?? "pending",
  takenAt: (i) => columns.takenAt[i],
  /** Its day is known; noon stands for its time. */
  dayOnly: (i) => (columns.flags[i] & DAY_ONLY) !== 0,
  tags(i) {
    const found = [];
    for (let k = i ? tagEnds[i - 1] : 0; k < tagEnds[i]; k++) found.push(text(tagTexts[k]));
    return found;
  },
  /** Width by height, kept between a tall and a wide strip; 1 where it is not known. */
  aspect(i) {
    const [width, height] = [columns.width[i], columns.height[i]];
    return width && height ? Math.min(2.4, Math.max(0.56, width / height)) : 1;
  },
  /** The original file relative to this page; null if it must not be linked. */
  link(i) {
    if (raw.root === null || !(columns.flags[i] & LINKED)) return null;
    const parts = [raw.root];
    if (columns.folder[i] >= 0) parts.push(raw.photos.folderLinks[columns.folder[i]]);
    parts.push(raw.photos.nameLinks[i] ?? photo.name(i));
    return parts.join("/");
  },
  /** The picture for the viewer, if browsers show its format. */
  original: (i) => (columns.flags[i] & SHOWN ? photo.link(i) : null),
  thumbnail(i) {
    let name = "";
    for (let k = i * DIGEST_BYTES; k < (i + 1) * DIGEST_BYTES; k++) {
      name += thumbnails[k].toString(16).padStart(2, "0");
    }
    return /^0+$/.test(name) ? null : `${FILES}${name.slice(0, 2)}/${name}.webp`;
  },
  /** What stands for the photo where it cannot be seen. */
  alt(i) {
    return photo.caption(i) || photo.title(i) || `No caption: ${photo.name(i)}`;
  },
};

const NOISE = -1;
const clusterOf = new Int32Array(count).fill(NOISE);
const eventOf = new Int32Array(count).fill(-1);

const clusters = raw.clusters.map((cluster, place) => {
  const members = column(cluster.members, cluster.size);
  for (const i of members) clusterOf[i] = place;
  return { ...cluster, members };
});
const chunks = raw.chunks.map((chunk, place) => {
  const members = column(chunk.members, chunk.size);
  if (chunk.level === "event") for (const i of members) eventOf[i] = place;
  return { ...chunk, members };
});
/** How many there are of a level; a photo alone at its time is no event. */
const several = (level) => chunks.filter((chunk) => chunk.level === level && (level !== "event" || chunk.size > 1)).length;
const duplicates = raw.duplicates.map((group) => ({ ...group, members: column(group.members, group.size) }));
const head = raw.head;

const every = Uint32Array.from({ length: count }, (_, i) => i);
const placed = every.filter((i) => columns.x[i] !== UNPLACED && columns.y[i] !== UNPLACED);
const noise = placed.filter((i) => clusterOf[i] === NOISE);
const failures = every.filter(photo.failed);
const pending = every.filter((i) => columns.status[i] === 0);
const captioned = every.filter((i) => columns.status[i] === 1).length;

const bySize = [...clusters].sort((a, b) => b.size - a.size || a.id - b.id);

/** The first keywords as a name: "Beach, dog, waves". */
function listed(keywords, most) {
  const words = keywords.slice(0, most).join(", ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A cluster's caption in full; no two clusters have the same. */
function clusterName(cluster) {
  return cluster.label || cluster.name;
}

/** A cluster's name in a few words; no two clusters have the same. */
function clusterShortName(cluster) {
  return cluster.name;
}
