// The map under the hands: wheel, drag, pinch, buttons, keys.

const REACH = 14;

/** A map in `host`; `open` is called with the photo that was chosen, `openCluster` with the cluster. */
class LibraryMap {
  constructor(host, open, openCluster) {
    Object.assign(this, { host, open, openCluster, pointers: new Map(), moved: 0, pointed: -1 });
    this.model = new MapModel();
    this.canvas = el("canvas", {
      tabindex: 0, role: "application", "aria-roledescription": "map",
      "aria-label": `Map of ${photosText(placed.length)}. Arrow keys move, plus and minus zoom, 0 shows everything, Enter opens the photo in the middle.`,
    });
    this.tip = el("div", { class: "tip", hidden: true });
    this.cross = el("div", { class: "cross", "aria-hidden": "true" });
    host.append(this.canvas, this.cross, this.tip, this.buttons());
    this.drawing = new MapDrawing(this.model, this.canvas, () => this.redraw());
    this.listen();
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(host);
    this.resize();
  }

  destroy() {
    this.observer.disconnect();
    cancelAnimationFrame(this.frame);
    this.destroyed = true;
  }

  buttons() {
    const button = (name, label, act) =>
      el("button", { type: "button", class: "round", "aria-label": label, title: label, click: act }, icon(name));
    return el("div", { class: "map-buttons" },
      button("plus", "Zoom in", () => this.move(this.model.zoomed(1.7))),
      button("minus", "Zoom out", () => this.move(this.model.zoomed(1 / 1.7))),
      button("fit", "Show everything", () => this.move(this.model.fitted())));
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height || (width === this.model.width && height === this.model.height)) return;
    const first = this.model.width === undefined;
    this.model.resize(width, height);
    const fitted = this.model.fitted();
    if (first || !this.touched) this.model.view = fitted;
    this.redraw();
  }

  redraw() {
    if (this.frame || this.destroyed) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.drawing.draw();
    });
  }

  /** Go to a view, gliding unless the person asked for less motion. */
  move(target) {
    this.touched = true;
    this.point(-1);
    const from = this.model.view, began = performance.now(), lasts = still.matches ? 0 : 180;
    const step = (now) => {
      const share = lasts ? Math.min(1, Math.max(0, (now - began) / lasts)) : 1;
      const eased = 1 - (1 - share) ** 3;
      const scale = from.scale * (target.scale / from.scale) ** eased;
      const mix = target.scale === from.scale ? eased : (scale - from.scale) / (target.scale - from.scale);
      const between = (name) => from[name] + (target[name] - from[name]) * mix;
      this.model.view = { scale, left: between("left"), top: between("top") };
      this.redraw();
      if (share < 1 && !this.destroyed) requestAnimationFrame(step);
    };
    step(began);
  }

  jump(view) {
    this.touched = true;
    this.model.view = view;
    this.redraw();
  }

  highlight(cluster) {
    this.drawing.highlight = cluster;
    this.redraw();
  }

  listen() {
    const on = (type, act, options) => this.canvas.addEventListener(type, act, options);
    on("wheel", (event) => this.wheel(event), { passive: false });
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.drag(event));
    on("pointerup", (event) => this.up(event));
    on("pointercancel", (event) => this.pointers.delete(event.pointerId));
    on("pointerleave", () => this.point(-1));
    on("keydown", (event) => this.key(event));
  }

  wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 24 : 1);
    const factor = Math.exp(-Math.max(-300, Math.min(300, pixels)) * (event.ctrlKey ? 0.01 : 0.0022));
    this.point(-1);
    this.jump(this.model.zoomed(factor, event.offsetX, event.offsetY));
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (this.pointers.size === 1) this.moved = 0;
  }

  drag(event) {
    const held = this.pointers.get(event.pointerId);
    if (!held) {
      const { k, cluster } = this.hit(event);
      this.point(k);
      this.canvas.classList.toggle("pointing", k >= 0 || cluster !== undefined);
      return;
    }
    const dx = event.offsetX - held.x, dy = event.offsetY - held.y;
    this.moved += Math.abs(dx) + Math.abs(dy);
    if (this.moved < 5) return;
    this.point(-1);
    const before = this.spread();
    Object.assign(held, { x: event.offsetX, y: event.offsetY });
    const after = this.spread();
    const { scale, left, top } = this.model.view;
    if (!before) this.jump({ scale, left: left + dx, top: top + dy });
    else {
      this.jump(this.model.zoomed(after.distance / before.distance, before.x, before.y));
      const view = this.model.view;
      this.jump({ ...view, left: view.left + after.x - before.x, top: view.top + after.y - before.y });
    }
  }

  /** Middle and distance of two fingers; null for one. */
  spread() {
    if (this.pointers.size < 2) return null;
    const [a, b] = this.pointers.values();
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, distance: Math.max(8, Math.hypot(a.x - b.x, a.y - b.y)) };
  }

  /** A click opens; the first tap of a finger only shows a photo, the second opens it. */
  up(event) {
    if (!this.pointers.delete(event.pointerId) || this.moved >= 5) return;
    const { k, cluster } = this.hit(event);
    const known = k === this.pointed;
    this.point(k);
    if (cluster) this.openCluster(cluster);
    else if (k >= 0 && (event.pointerType === "mouse" || known)) this.open(placed[k]);
  }

  /** What is drawn under the pointer: a photo, by its point, or the name of a cluster. */
  hit(event) {
    const drawn = this.drawing.at(event.offsetX, event.offsetY);
    if (drawn) return { k: -1, ...drawn };
    return { k: this.model.nearest(event.offsetX, event.offsetY, REACH) };
  }

  key(event) {
    const { width, height, view } = this.model;
    const pan = (dx, dy) => this.move({ ...view, left: view.left + dx * width * 0.15, top: view.top + dy * height * 0.15 });
    const keys = {
      ArrowLeft: () => pan(1, 0), ArrowRight: () => pan(-1, 0), ArrowUp: () => pan(0, 1), ArrowDown: () => pan(0, -1),
      "+": () => this.move(this.model.zoomed(1.7)), "=": () => this.move(this.model.zoomed(1.7)),
      "-": () => this.move(this.model.zoomed(1 / 1.7)), 0: () => this.move(this.model.fitted()),
      Enter: () => {
        const hit = this.model.nearest(width / 2, height / 2, Math.max(width, height));
        if (hit >= 0) this.open(placed[hit]);
      },
    };
    if (!keys[event.key] || event.metaKey || event.altKey || event.ctrlKey) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }

  /** Show what is under the pointer. */
  point(k) {
    if (k === this.pointed) return;
    this.pointed = k;
    this.tip.hidden = k < 0;
    this.canvas.classList.toggle("pointing", k >= 0);
    if (k < 0) return;
    const i = placed[k], cluster = clusters[clusterOf[i]];
    this.tip.replaceChildren(picture(i, { words: false }), el("div", { class: "tip-text" },
      el("p", { dir: "auto" }, photo.caption(i) || photo.title(i) || photo.name(i)),
      el("p", { class: "tip-cluster", dir: "auto" }, dot(cluster), cluster ? clusterShortName(cluster) : "In no cluster")));
    this.place(this.model.screenX(k), this.model.screenY(k));
  }

  /** The tip stands beside the point, inside the map. */
  place(x, y) {
    const { offsetWidth: w, offsetHeight: h } = this.tip;
    const { width, height } = this.model;
    const left = x + 22 + w < width ? x + 22 : Math.max(8, x - w - 22);
    const top = Math.min(Math.max(8, y - h / 2), Math.max(8, height - h - 8));
    this.tip.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }
}
