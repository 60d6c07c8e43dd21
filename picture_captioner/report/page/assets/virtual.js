// Long lists: only what is near the window is in the document.
//
// A layout is four arrays (x, y, width, height of every item) and a total height; items are in
// rows, so y never falls. 44,000 photos are 700 kB of layout and a few dozen elements.

const OVERSCAN = 600;

/** Items that are put on paper: some twenty pages. */
const PRINTED = 400;

function newLayout(n) {
  return { x: new Float32Array(n), y: new Float64Array(n), w: new Float32Array(n), h: new Float32Array(n), total: 0 };
}

/** Photos in rows of about equal height, as wide as the window. */
function justifiedLayout(items, width, rowHeight, gap) {
  const layout = newLayout(items.length);
  let start = 0, sum = 0, y = 0;
  const close = (end, height) => {
    let x = 0;
    for (let k = start; k < end; k++) {
      const w = photo.aspect(items[k]) * height;
      layout.x[k] = x;
      layout.y[k] = y;
      layout.w[k] = w;
      layout.h[k] = height;
      x += w + gap;
    }
    y += height + gap;
    start = end;
    sum = 0;
  };
  for (let k = 0; k < items.length; k++) {
    sum += photo.aspect(items[k]);
    const height = (width - gap * (k - start)) / sum;
    if (height <= rowHeight) close(k + 1, height);
  }
  if (start < items.length) close(items.length, rowHeight);
  layout.total = Math.max(0, y - gap);
  return layout;
}

/** Items one after another: `height` alone fills a row, `column` and `height` share rows. */
function flowLayout(items, width, measure, gap) {
  const layout = newLayout(items.length);
  let x = 0, y = 0, row = 0;
  const next = () => {
    if (row) y += row + gap;
    x = row = 0;
  };
  items.forEach((item, k) => {
    const { height, column } = measure(item);
    const across = column ? Math.max(1, Math.floor((width + gap) / (column + gap))) : 1;
    const w = (width - gap * (across - 1)) / across;
    if (!column || x + w > width + 1 || (row && row !== height)) next();
    layout.x[k] = x;
    layout.y[k] = y;
    layout.w[k] = w;
    layout.h[k] = height;
    x += w + gap;
    row = height;
    if (!column) next();
  });
  next();
  layout.total = Math.max(0, y - gap);
  return layout;
}

/** A list in `host`; `arrange(width)` lays it out, `render(k)` makes the element of item k. */
class VirtualList {
  constructor(host, length, arrange, render) {
    Object.assign(this, { host, length, arrange, render, nodes: new Map() });
    this.update = this.update.bind(this);
    this.observer = new ResizeObserver(() => this.relayout());
    this.observer.observe(host);
    this.print = this.print.bind(this);
    this.printed = this.printed.bind(this);
    addEventListener("scroll", this.update, { passive: true });
    addEventListener("beforeprint", this.print);
    addEventListener("afterprint", this.printed);
    this.relayout();
  }

  destroy() {
    this.observer.disconnect();
    removeEventListener("scroll", this.update);
    removeEventListener("beforeprint", this.print);
    removeEventListener("afterprint", this.printed);
  }

  /** On paper nothing is scrolled to: the style lets all items that are there flow. */
  print() {
    this.printing = true;
    const end = Math.min(this.length, PRINTED);
    for (const [k, node] of this.nodes) {
      if (k < end) continue;
      node.remove();
      this.nodes.delete(k);
    }
    this.fill(0, end);
    if (this.length > end) this.host.dataset.left = `The first ${number(end)} of ${number(this.length)} are on paper; search for less to print others.`;
  }

  printed() {
    this.printing = false;
    this.relayout();
    this.update();
  }

  relayout() {
    const width = this.host.clientWidth;
    if (width === this.width || !width || this.printing) return;
    this.width = width;
    this.layout = this.arrange(width);
    this.host.style.height = `${Math.ceil(this.layout.total)}px`;
    for (const [k, node] of this.nodes) this.put(node, k);
    this.update();
  }

  put(node, k) {
    const { x, y, w, h } = this.layout;
    node.style.transform = `translate(${x[k].toFixed(2)}px, ${y[k].toFixed(2)}px)`;
    node.style.width = `${w[k].toFixed(2)}px`;
    node.style.height = `${h[k].toFixed(2)}px`;
  }

  /** The first item whose end is below `y`. */
  firstBelow(y) {
    let low = 0, high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.layout.y[middle] + this.layout.h[middle] < y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  update() {
    if (!this.layout || this.printing) return;
    const top = -this.host.getBoundingClientRect().top;
    const first = this.firstBelow(top - OVERSCAN);
    let end = first;
    while (end < this.length && this.layout.y[end] < top + innerHeight + OVERSCAN) end += 1;
    for (const [k, node] of this.nodes) {
      if ((k < first || k >= end) && !node.contains(document.activeElement)) {
        node.remove();
        this.nodes.delete(k);
      }
    }
    this.fill(first, end);
  }

  /** Elements stand in the order of their items: that is the order of Tab and screen readers. */
  fill(first, end) {
    let after = null;
    for (let k = end - 1; k >= first; k--) {
      let node = this.nodes.get(k);
      if (!node) {
        node = this.render(k);
        node.classList.add("placed");
        this.put(node, k);
        this.host.insertBefore(node, after);
        this.nodes.set(k, node);
      }
      after = node;
    }
  }

  /** Bring item k into the window and give it the focus. */
  focus(k) {
    const top = this.host.getBoundingClientRect().top + scrollY + this.layout.y[k];
    const bar = $("bar").offsetHeight + 12;
    if (top - bar < scrollY) scrollTo({ top: top - bar, behavior: "instant" });
    else if (top + this.layout.h[k] + 80 > scrollY + innerHeight) {
      scrollTo({ top: top + this.layout.h[k] + 80 - innerHeight, behavior: "instant" });
    }
    this.update();
    const node = this.nodes.get(k);
    (node?.querySelector("a, button") ?? node)?.focus({ preventScroll: true });
  }

  /** Which item has the focus; -1 for none. */
  focused() {
    for (const [k, node] of this.nodes) if (node.contains(document.activeElement)) return k;
    return -1;
  }

  /** The neighbour of item k in the direction of an arrow key; k itself at the edge. */
  neighbour(k, key) {
    const { x, y, w } = this.layout;
    if (key === "ArrowLeft") return Math.max(0, k - 1);
    if (key === "ArrowRight") return Math.min(this.length - 1, k + 1);
    const step = key === "ArrowUp" ? -1 : 1;
    const middle = x[k] + w[k] / 2;
    let other = k;
    while (other >= 0 && other < this.length && y[other] === y[k]) other += step;
    if (other < 0 || other >= this.length) return k;
    const row = y[other];
    let best = other;
    for (; other >= 0 && other < this.length && y[other] === row; other += step) {
      if (Math.abs(x[other] + w[other] / 2 - middle) < Math.abs(x[best] + w[best] / 2 - middle)) best = other;
    }
    return best;
  }
}
