// Draws the map: points, pictures where there is room for them, names of clusters.

const PICTURES_AT_MOST = 220;
const PICTURES_KEPT = 800;
const SAMPLE = 64;

class MapDrawing {
  constructor(model, canvas, redraw) {
    Object.assign(this, { model, canvas, redraw, pictures: new Map(), drawn: [], highlight: null });
    this.context = canvas.getContext("2d");
  }

  draw() {
    const { model, context } = this;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(model.width * ratio);
    this.canvas.height = Math.round(model.height * ratio);
    context.scale(ratio, ratio);
    const visible = model.visible();
    this.drawn = [];
    const size = Math.sqrt((model.width * model.height) / Math.max(visible.length, 12));
    this.points(visible, Math.min(5.5, Math.max(1.3, size * 0.15)));
    const all = visible.length <= PICTURES_AT_MOST;
    if (all) this.thumbnails(visible, Math.min(92, Math.max(30, size * 0.62)));
    else if (model.closeUp()) this.thumbnails(this.sample(visible), SAMPLE * 0.8);
    this.names(!all);
  }

  /** One point of each square of the map: so many pictures have room. Panning keeps the choice. */
  sample(visible) {
    const { model } = this;
    const squares = 2 ** (Math.round(2 * Math.log2(model.view.scale)) / 2) / SAMPLE;
    const chosen = new Map();
    for (const k of visible) {
      if (clusterOf[placed[k]] === NOISE) continue;
      const square = Math.floor(model.y[k] * squares) * 1e6 + Math.floor(model.x[k] * squares);
      if (!chosen.has(square)) chosen.set(square, k);
      if (chosen.size >= PICTURES_AT_MOST) break;
    }
    return [...chosen.values()];
  }

  /** The picture (`k`) or name (`cluster`) on top at a place of the canvas, if there is one. */
  at(px, py) {
    return this.drawn.findLast((box) => px >= box.left && px <= box.right && py >= box.top && py <= box.bottom);
  }

  colour(k) {
    const place = clusterOf[placed[k]];
    return place === NOISE ? "#9a9a9e" : clusters[place].colour;
  }

  points(visible, radius) {
    const { context, model } = this;
    let colour = null;
    const side = radius * 1.8;
    for (const k of visible) {
      const own = this.colour(k);
      if (own !== colour) {
        context.fillStyle = colour = own;
        const dimmed = this.highlight && clusters[clusterOf[placed[k]]] !== this.highlight;
        context.globalAlpha = dimmed ? 0.1 : own === "#9a9a9e" ? 0.45 : 0.85;
      }
      if (radius < 2) {
        context.fillRect(model.screenX(k) - side / 2, model.screenY(k) - side / 2, side, side);
      } else {
        context.beginPath();
        context.arc(model.screenX(k), model.screenY(k), radius, 0, 7);
        context.fill();
      }
    }
    context.globalAlpha = 1;
  }

  thumbnails(visible, size) {
    const { context, model } = this;
    for (const k of visible) {
      const image = this.picture(placed[k]);
      if (!image) continue;
      const ratio = image.naturalWidth / image.naturalHeight;
      const w = ratio > 1 ? size : size * ratio, h = ratio > 1 ? size / ratio : size;
      const x = model.screenX(k) - w / 2, y = model.screenY(k) - h / 2;
      const dimmed = this.highlight && clusters[clusterOf[placed[k]]] !== this.highlight;
      context.save();
      context.globalAlpha = dimmed ? 0.12 : 1;
      context.beginPath();
      context.roundRect(x - 2, y - 2, w + 4, h + 4, 6);
      context.fillStyle = this.colour(k);
      context.fill();
      context.beginPath();
      context.roundRect(x, y, w, h, 4);
      context.clip();
      context.drawImage(image, x, y, w, h);
      context.restore();
      if (!dimmed) this.drawn.push({ left: x, right: x + w, top: y, bottom: y + h, k });
    }
  }

  /** The picture if it has been loaded; asks for it if not. */
  picture(i) {
    const known = this.pictures.get(i);
    if (known) return known.complete && known.naturalWidth ? known : null;
    const source = photo.thumbnail(i);
    if (!source) return null;
    if (this.pictures.size >= PICTURES_KEPT) this.pictures.delete(this.pictures.keys().next().value);
    const image = new Image();
    image.addEventListener("load", this.redraw);
    image.src = source;
    this.pictures.set(i, image);
    return null;
  }

  /** Names of clusters under their most typical photo, or the one in their middle, the largest first, where there is room. */
  names(faces) {
    const { context, model } = this;
    const style = getComputedStyle(this.canvas);
    context.font = `600 12.5px ${style.fontFamily}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = style.backgroundColor;
    context.fillStyle = style.color;
    const taken = [], nameless = [];
    for (const label of model.labels) {
      if (this.highlight && label.cluster !== this.highlight) continue;
      const face = faces && photo.thumbnail(label.cluster.members[0]) !== null;
      if (!face || !this.name(label, taken, true)) nameless.push(label);
    }
    for (const label of nameless) this.name(label, taken, false);
  }

  /** Write one name, under its face or not; false if that would cover another. */
  name(label, taken, withFace) {
    const { context, model } = this;
    const words = plain(clusterShortName(label.cluster));
    const face = withFace ? (model.width < 560 ? 34 : 46) : 0;
    const half = Math.max(context.measureText(words).width, face) / 2 + 4;
    const x = label.x * model.view.scale + model.view.left, y = label.y * model.view.scale + model.view.top;
    const px = Math.min(Math.max(x, half), model.width - half);
    const under = this.at(px, y);
    const text = face ? y + face / 2 + 13 : under?.k === undefined ? y : under.bottom + 12;
    const box = { left: px - half, right: px + half, top: face ? y - face / 2 - 4 : text - 9, bottom: text + 9 };
    const inside = Math.abs(px - x) < 40 && box.top > 0 && box.bottom < model.height && half * 2 < model.width;
    const covers = (other) =>
      box.left < other.right && box.right > other.left && box.top < other.bottom && box.bottom > other.top;
    if (!inside || taken.some(covers)) return false;
    taken.push(box);
    this.drawn.push({ ...box, cluster: label.cluster });
    if (withFace) this.face(label.cluster, px, y, face);
    context.strokeText(words, px, text);
    context.fillText(words, px, text);
    return true;
  }

  /** The most typical photo of a cluster as a small square; the cluster's colour until it is there. */
  face(cluster, px, py, size) {
    const { context } = this;
    const image = this.picture(cluster.members[0]);
    context.save();
    context.beginPath();
    context.roundRect(px - size / 2 - 2, py - size / 2 - 2, size + 4, size + 4, 11);
    context.shadowColor = "rgb(0 0 0 / .28)";
    context.shadowBlur = 10;
    context.shadowOffsetY = 3;
    context.fillStyle = cluster.colour;
    context.fill();
    context.shadowColor = "transparent";
    context.beginPath();
    context.roundRect(px - size / 2, py - size / 2, size, size, 9);
    context.clip();
    const side = image && Math.min(image.naturalWidth, image.naturalHeight);
    if (image) context.drawImage(image, (image.naturalWidth - side) / 2, (image.naturalHeight - side) / 2, side, side,
      px - size / 2, py - size / 2, size, size);
    context.restore();
    context.fillStyle = getComputedStyle(this.canvas).color;
  }
}
