// The map of the library: where photos are, and which one is under the pointer.

const GRID = 160;

class MapModel {
  constructor() {
    this.x = Float32Array.from(placed, (i) => columns.x[i] / (UNPLACED - 1));
    this.y = Float32Array.from(placed, (i) => columns.y[i] / (UNPLACED - 1));
    this.bounds = this.measure();
    this.index();
    this.order = this.drawingOrder();
    this.labels = bySize.map((cluster) => this.centre(cluster)).filter(Boolean);
    this.view = { scale: 1, left: 0, top: 0 };
  }

  measure() {
    const bounds = { left: 1, top: 1, right: 0, bottom: 0 };
    for (let k = 0; k < placed.length; k++) {
      bounds.left = Math.min(bounds.left, this.x[k]);
      bounds.right = Math.max(bounds.right, this.x[k]);
      bounds.top = Math.min(bounds.top, this.y[k]);
      bounds.bottom = Math.max(bounds.bottom, this.y[k]);
    }
    return bounds;
  }

  /** Points by the cell of a grid: those of cell c are cells[starts[c]] to cells[starts[c + 1]]. */
  index() {
    const cell = (k) => Math.min(GRID - 1, (this.y[k] * GRID) | 0) * GRID + Math.min(GRID - 1, (this.x[k] * GRID) | 0);
    this.starts = new Uint32Array(GRID * GRID + 1);
    for (let k = 0; k < placed.length; k++) this.starts[cell(k) + 1] += 1;
    for (let c = 0; c < GRID * GRID; c++) this.starts[c + 1] += this.starts[c];
    this.cells = new Uint32Array(placed.length);
    const next = this.starts.slice();
    for (let k = 0; k < placed.length; k++) this.cells[next[cell(k)]++] = k;
  }

  /** Noise first, then cluster by cluster: few changes of colour, noise below. */
  drawingOrder() {
    return Uint32Array.from(placed, (_, k) => k).sort((a, b) => clusterOf[placed[a]] - clusterOf[placed[b]] || a - b);
  }

  /** The middle of a cluster: medians, which stragglers do not move. */
  centre(cluster) {
    const points = Array.from(cluster.members).filter((i) => columns.x[i] !== UNPLACED);
    if (!points.length) return null;
    const median = (values) => values.sort((a, b) => a - b)[values.length >> 1] / (UNPLACED - 1);
    return { cluster, x: median(points.map((i) => columns.x[i])), y: median(points.map((i) => columns.y[i])) };
  }

  resize(width, height) {
    Object.assign(this, { width, height });
  }

  /** Show everything. */
  fitted() {
    const { left, right, top, bottom } = this.bounds;
    const margin = Math.min(56, this.width / 9);
    const scale = Math.min(
      (this.width - 2 * margin) / Math.max(right - left, 1e-3),
      (this.height - 2 * margin) / Math.max(bottom - top, 1e-3),
      4000,
    );
    this.smallest = scale / 2;
    return {
      scale,
      left: this.width / 2 - ((left + right) / 2) * scale,
      top: this.height / 2 - ((top + bottom) / 2) * scale,
    };
  }

  /** Whether the map was zoomed into far enough to look at pictures. */
  closeUp() {
    return this.view.scale > this.smallest * 3;
  }

  /** The view after zooming by `factor` around a point of the canvas. */
  zoomed(factor, px = this.width / 2, py = this.height / 2) {
    const scale = Math.min(Math.max(this.view.scale * factor, this.smallest), 400000);
    const ratio = scale / this.view.scale;
    return this.kept({ scale, left: px - (px - this.view.left) * ratio, top: py - (py - this.view.top) * ratio });
  }

  /** The view, moved if it shows no photo: the one nearest its middle comes into the middle. */
  kept(view) {
    let least = Infinity, nearest = -1;
    for (let k = 0; k < placed.length; k++) {
      const x = this.x[k] * view.scale + view.left, y = this.y[k] * view.scale + view.top;
      if (x >= 0 && y >= 0 && x <= this.width && y <= this.height) return view;
      const distance = (x - this.width / 2) ** 2 + (y - this.height / 2) ** 2;
      if (distance < least) [least, nearest] = [distance, k];
    }
    if (nearest < 0) return view;
    return { scale: view.scale, left: this.width / 2 - this.x[nearest] * view.scale, top: this.height / 2 - this.y[nearest] * view.scale };
  }

  screenX(k) { return this.x[k] * this.view.scale + this.view.left; }
  screenY(k) { return this.y[k] * this.view.scale + this.view.top; }

  /** The point nearest to a place on the canvas within `reach` pixels; -1 for none. */
  nearest(px, py, reach) {
    const { scale, left, top } = this.view;
    const cell = (value) => Math.min(GRID - 1, Math.max(0, Math.floor(value * GRID)));
    const [x0, x1] = [cell((px - reach - left) / scale), cell((px + reach - left) / scale)];
    const [y0, y1] = [cell((py - reach - top) / scale), cell((py + reach - top) / scale)];
    let best = -1, least = reach * reach;
    for (let row = y0; row <= y1; row++) {
      for (let at = this.starts[row * GRID + x0]; at < this.starts[row * GRID + x1 + 1]; at++) {
        const k = this.cells[at];
        const distance = (this.screenX(k) - px) ** 2 + (this.screenY(k) - py) ** 2;
        if (distance <= least) [best, least] = [k, distance];
      }
    }
    return best;
  }

  /** Points inside the canvas, in drawing order. */
  visible() {
    const found = [];
    for (const k of this.order) {
      const x = this.screenX(k), y = this.screenY(k);
      if (x > -40 && y > -40 && x < this.width + 40 && y < this.height + 40) found.push(k);
    }
    return found;
  }
}
