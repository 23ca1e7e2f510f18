// A surface that turns, drawn as the figure beside it is coloured.

const HOME = { turn: -0.6, tilt: 0.7 };
const STEP = 0.12;
const FINE = 45;  // pieces along a side from which bands of colour look like those of the figure
const TALL = 1.1;  // of a box whose sides are 2
const KEYS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };
const still = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

class Surface {
  constructor(scene, canvas) {
    Object.assign(this, { scene, canvas, ...HOME });
    this.drawable = this.pieces();
    this.frame = 0;
  }

  // Only where all four corners have a value: a hole stays a hole.
  cells() {
    const { xs, ys, heights } = this.scene;
    const cells = [];
    for (let row = 0; row + 1 < ys.length; row++) {
      for (let column = 0; column + 1 < xs.length; column++) {
        const corners = [[0, 0], [0, 1], [1, 0], [1, 1]].map(([down, right]) => heights[row + down][column + right]);
        if (corners.includes(null)) continue;
        cells.push({ x: [xs[column], xs[column + 1]], y: [ys[row], ys[row + 1]], corners });
      }
    }
    return cells;
  }

  // Each cell in as many pieces as its colours need: between its corners the figure goes straight, too.
  pieces() {
    const { xs, ys, colours } = this.scene;
    const parts = Math.ceil(FINE / Math.max(xs.length, ys.length));
    const between = ([low, high], share) => low + (high - low) * share;
    const pieces = [];
    for (const { x, y, corners: [a, b, c, d] } of this.cells()) {
      const at = (right, back) => [between(x, right / parts), between(y, back / parts),
        between([between([a, b], right / parts), between([c, d], right / parts)], back / parts)];
      for (let piece = 0; piece < parts * parts; piece++) {
        const [right, back] = [piece % parts, Math.floor(piece / parts)];
        const corners = [at(right, back), at(right + 1, back), at(right + 1, back + 1), at(right, back + 1)];
        const edges = [back === 0, right === parts - 1, back === parts - 1, right === 0];
        const mean = corners.reduce((sum, corner) => sum + corner[2], 0) / 4;
        const band = Math.min(colours.length - 1, Math.floor(mean * colours.length));
        pieces.push({ corners, edges, colour: colours[band] });
      }
    }
    return pieces;
  }

  // Right, down and away on the screen, without perspective: equal lengths stay equal.
  seen([x, y, height]) {
    const [sin, cos] = [Math.sin(this.turn), Math.cos(this.turn)];
    const [across, away, up] = [x * cos - y * sin, x * sin + y * cos, (height - 0.5) * TALL];
    const [rise, lean] = [Math.sin(this.tilt), Math.cos(this.tilt)];
    const scale = Math.min(this.width / 3.5, this.height / 2.9);
    return [this.width / 2 + across * scale, this.height / 2 - (away * rise + up * lean) * scale, away];
  }

  move(turn, tilt) {
    this.turn = (this.turn + turn) % (2 * Math.PI);
    this.tilt = Math.min(Math.PI / 2, Math.max(0.05, this.tilt + tilt));
    this.redraw();
  }

  reset() {
    const [turn, tilt, began] = [this.turn, this.tilt, performance.now()];
    const step = (now) => {
      const share = still.matches ? 1 : Math.min(1, Math.max(0, (now - began) / 250));
      this.turn = turn + (HOME.turn - turn) * share;
      this.tilt = tilt + (HOME.tilt - tilt) * share;
      this.draw();
      if (share < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  redraw() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.draw());
  }

  fit() {
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.width * devicePixelRatio);
    this.canvas.height = Math.round(this.height * devicePixelRatio);
    this.draw();
  }

  draw() {
    const pen = this.canvas.getContext("2d");
    const page = getComputedStyle(this.canvas);
    [this.ink, this.paper] = [page.color, page.backgroundColor];
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    this.drawFloor(pen);
    pen.lineJoin = "round";
    pen.lineWidth = 0.5;
    const drawn = this.drawable.map(({ corners, ...rest }) => {
      const places = corners.map((corner) => this.seen(corner));
      return { ...rest, places, away: places.reduce((sum, place) => sum + place[2], 0) };
    });
    for (const { places, edges, colour } of drawn.sort((a, b) => b.away - a.away)) {
      this.path(pen, places);
      pen.closePath();
      pen.fillStyle = pen.strokeStyle = colour;  // the stroke closes the seams between pieces
      pen.fill();
      pen.stroke();
      pen.strokeStyle = "rgb(255 255 255 / 0.5)";
      for (const [side, isEdge] of edges.entries()) {
        if (!isEdge) continue;
        this.path(pen, [places[side], places[(side + 1) % 4]]);
        pen.stroke();
      }
    }
    for (const point of this.scene.points) this.drawPoint(pen, point);
  }

  drawFloor(pen) {
    const { xs, ys, x, y, z } = this.scene;
    const [left, right, front, back] = [xs[0], xs.at(-1), ys[0], ys.at(-1)];
    const corners = [[left, front], [right, front], [right, back], [left, back]];
    const floor = corners.map(([a, b]) => this.seen([a, b, 0]));
    pen.strokeStyle = "#9ca3af";
    pen.lineWidth = 1;
    this.path(pen, floor);
    pen.closePath();
    pen.stroke();
    // The axes that the reader has in front of him: x and y on the nearer of two edges, z on the corner furthest left.
    const near = this.seen([0, front, 0])[2] < this.seen([0, back, 0])[2] ? front : back;
    const beside = this.seen([left, 0, 0])[2] < this.seen([right, 0, 0])[2] ? left : right;
    this.drawAxis(pen, x, [left, near * 1.08, 0], [right, near * 1.08, 0]);
    this.drawAxis(pen, y, [beside * 1.08, front, 0], [beside * 1.08, back, 0]);
    const edge = corners.reduce((best, corner) =>
      this.seen([...corner, 0])[0] < this.seen([...best, 0])[0] ? corner : best);
    const [foot, top] = [this.seen([...edge, 0]), this.seen([...edge, 1])];
    pen.strokeStyle = "#9ca3af";
    this.path(pen, [foot, top]);
    pen.stroke();
    if (this.tilt > 1.3) return;  // from above a height has no length
    this.write(pen, z.high, top[0] - 4, top[1], "right");
    this.write(pen, z.low, foot[0] - 4, foot[1] - 6, "right");
    this.write(pen, z.label, Math.max(4, top[0] - 30), top[1] - 16, "left");
  }

  drawAxis(pen, axis, low, high) {
    const [from, to] = [this.seen(low), this.seen(high)];
    const at = (share) => [from[0] + (to[0] - from[0]) * share, from[1] + (to[1] - from[1]) * share + 10];
    if (Math.hypot(to[0] - from[0], to[1] - from[1]) < 60) return;  // seen from its end
    this.write(pen, axis.low, ...at(0.05), "center");
    this.write(pen, axis.high, ...at(0.95), "center");
    const [x, y] = at(0.5);
    this.write(pen, axis.label, x, y + 10, to[0] > from[0] === to[1] > from[1] ? "right" : "left");
  }

  drawPoint(pen, { label, x, y, height }) {
    const [across, down] = this.seen([x, y, height]);
    pen.beginPath();
    pen.arc(across, down, 4.5, 0, 2 * Math.PI);
    pen.fillStyle = this.paper;
    pen.fill();
    pen.strokeStyle = this.ink;
    pen.lineWidth = 1.2;
    pen.stroke();
    const wide = pen.measureText(label).width;
    pen.fillStyle = this.paper;
    pen.globalAlpha = 0.85;
    pen.fillRect(across + 7, down - 20, wide + 6, 15);
    pen.globalAlpha = 1;
    this.write(pen, label, across + 10, down - 12, "left");
  }

  write(pen, text, x, y, align) {
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = this.ink;
    pen.textAlign = align;
    pen.textBaseline = "middle";
    const wide = pen.measureText(text).width;
    const before = { left: 0, center: wide / 2, right: wide }[align];
    pen.fillText(text, Math.max(2 + before, Math.min(this.width - 2 - wide + before, x)), Math.min(this.height - 8, y));
  }

  path(pen, places) {
    pen.beginPath();
    for (const [x, y] of places) pen.lineTo(x, y);
  }
}

const listen = (surface) => {
  const { canvas } = surface;
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Home") surface.reset();
    else if (KEYS[event.key]) surface.move(...KEYS[event.key]);
    else return;
    event.preventDefault();
  });
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = event;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const tilted = event.pointerType === "touch" ? 0 : event.clientY - last.clientY;  // up and down a finger scrolls
    surface.move((event.clientX - last.clientX) / 120, tilted / 120);
    last = event;  // not movementX, which some browsers do not give of a finger
  });
  new ResizeObserver(() => surface.fit()).observe(canvas);
  dark.addEventListener("change", () => surface.redraw());
};

const turnable = (data) => {
  const scene = JSON.parse(data.textContent);
  const canvas = made("canvas", { tabIndex: 0, textContent: scene.alt });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-roledescription", "turnable surface");
  canvas.setAttribute("aria-label", `${scene.alt} Arrow keys turn it, Home resets it.`);
  const surface = new Surface(scene, canvas);
  const pushes = [["←", "Turn left", KEYS.ArrowLeft], ["→", "Turn right", KEYS.ArrowRight],
    ["↑", "Look from higher", KEYS.ArrowUp], ["↓", "Look from lower", KEYS.ArrowDown]];
  const buttons = pushes.map(([glyph, name, step]) => {
    const push = button(glyph, () => surface.move(...step), { title: name });
    push.setAttribute("aria-label", name);
    return push;
  });
  const controls = made("p", { className: "controls" }, ...buttons, button("Reset", () => surface.reset()));
  const told = made("p", { className: "note", textContent: `Drag it, or use the arrow keys. ${scene.notes.join(" ")}` });
  data.parentElement.classList.add("both");
  data.after(made("div", { className: "turnable" }, canvas, controls, told));
  listen(surface);
};

for (const data of document.querySelectorAll("script.scene")) turnable(data);
