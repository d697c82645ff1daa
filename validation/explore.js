// Profiles of the particles, and what is expected of them, at any time and point by point. The numbers are in the page.
{
const root = document.currentScript.parentElement, [slider, across, apart] = root.querySelectorAll("input");
const { time, profiles } = JSON.parse(root.querySelector("[type='application/json']").textContent);
const HEIGHT = 240, LEFT = 60, RIGHT = 12, TOP = 8, BOTTOM = 36;
const said = (v) => String(v).replaceAll("-", "−");

function ticks(low, high, most) {
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((f) => f * power >= rough), first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, k) => +((first + k) * step).toPrecision(6));
}

function chart(of) {
  const panel = document.createElement("div"), last = of.x.length - 1;
  panel.innerHTML = `<b></b><svg tabindex="0" role="slider" height="${HEIGHT}" aria-valuemin="0"></svg><p></p>`;
  const [name, svg, words] = panel.children;
  name.textContent = of.about;
  svg.setAttribute("aria-label", `${of.about}, point by point`);
  svg.setAttribute("aria-valuemax", last);
  const section = () => Math.min(+across.value, of.sections.length - 1); // a place on all axes but the first
  let chosen = null, place = () => 0; // the point whose numbers are shown; where a point is drawn

  function curves(t) { // in a row, of a time and a section: means, their twofold errors, what is expected
    const less = (v, k) => (apart.checked ? v - of.expected[t][k] : v);
    return [of.particles[t].map(less), of.error[t].map((s) => 2 * s), of.expected[t].map(less)];
  }

  function draw() {
    const width = svg.clientWidth;
    if (!width) return; // not laid out: nothing is seen, and nothing can be placed
    const t = +slider.value * of.sections.length + section(), all = of.particles.flatMap((_, k) => {
      const [means, errors, expected] = curves(k);
      return [...expected, ...means.flatMap((v, j) => [v - errors[j], v + errors[j]])];
    });
    const ends = of.x.length > 1 ? [of.x[0], of.x[last]] : [of.x[0] - 1, of.x[0] + 1];
    let low = all.reduce((a, b) => Math.min(a, b)), high = all.reduce((a, b) => Math.max(a, b));
    const room = (high - low) / 20 || 1;
    [low, high] = [low - room, high + room];
    const along = (x) => LEFT + (width - LEFT - RIGHT) * (x - ends[0]) / (ends[1] - ends[0]);
    const up = (y) => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - low) / (high - low);
    const [means, errors, expected] = curves(t), line = expected.map((y, k) => `${along(of.x[k])} ${up(y)}`);
    const bars = means.map((v, k) => `M${along(of.x[k])} ${up(v - errors[k])}V${up(v + errors[k])}`);
    const dots = means.map((v, k) => `M${along(of.x[k])} ${up(v)}h0`);
    place = (k) => along(of.x[k]);
    svg.innerHTML = ticks(low, high, 5).map((y) => `<path class="grid" d="M${LEFT} ${up(y)}H${width - RIGHT}"/>` +
        `<text x="${LEFT - 6}" y="${up(y) + 4}" text-anchor="end">${said(y)}</text>`).join("") +
      ticks(...ends, width / 65).map((x) => `<path class="grid" d="M${along(x)} ${TOP}V${HEIGHT - BOTTOM}"/>` +
        `<text x="${along(x)}" y="${HEIGHT - BOTTOM + 16}" text-anchor="middle">${said(x)}</text>`).join("") +
      `<text x="${along((ends[0] + ends[1]) / 2)}" y="${HEIGHT - 4}" text-anchor="middle">${of.axis}</text>` +
      `<path class="expected" d="M${line.join("L")}"/><path class="bars" d="${bars.join("")}"/>` +
      `<path class="dots" d="${dots.join("")}"/>` +
      (chosen === null ? "" : `<path class="chosen" d="M${place(chosen)} ${TOP}V${HEIGHT - BOTTOM}"/>`);
    const k = chosen ?? 0, error = of.error[t][k];
    const beside = of.sections[section()] && `, ${of.sections[section()]}`;
    const numbers = `${of.axis} = ${said(of.x[k])}${beside}: particles ${said(of.particles[t][k])} ± ` +
      `${error === null ? "unknown" : said(+(2 * error).toPrecision(3))}, expected ${said(of.expected[t][k])}`;
    svg.setAttribute("aria-valuenow", k);
    svg.setAttribute("aria-valuetext", numbers);
    words.textContent = chosen === null ? "\u00a0" : numbers; // a line of its own, so that nothing moves below
  }

  function choose(k) {
    chosen = Math.min(Math.max(k, 0), last);
    draw();
  }
  function point(event) {
    const x = event.clientX - svg.getBoundingClientRect().left;
    choose(of.x.reduce((best, _, k) => (Math.abs(place(k) - x) < Math.abs(place(best) - x) ? k : best), 0));
  }
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("keydown", (event) => {
    const to = { ArrowRight: (chosen ?? -1) + 1, ArrowUp: (chosen ?? -1) + 1, ArrowLeft: (chosen ?? 1) - 1,
      ArrowDown: (chosen ?? 1) - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  });
  root.querySelector("div").append(panel);
  return draw;
}

root.hidden = false;
const charts = profiles.map(chart);
function show() {
  const at = `t = ${said(time[+slider.value])}, ${+slider.value + 1} of ${time.length}`;
  const [when, where] = root.querySelectorAll("output");
  when.textContent = at;
  where.textContent = profiles.map((of) => of.sections[Math.min(+across.value, of.sections.length - 1)])
    .find((one) => one) ?? "";
  across.setAttribute("aria-valuetext", where.textContent);
  slider.setAttribute("aria-valuetext", at);
  charts.forEach((draw) => draw());
}
slider.addEventListener("input", show);
across.addEventListener("input", show);
apart.addEventListener("input", show);
new ResizeObserver(show).observe(slider.closest("p"));
show();
}
