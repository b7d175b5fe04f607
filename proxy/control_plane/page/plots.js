// Small plots: one or two lines over the last minutes.

const WIDTH = 120;
const HEIGHT = 24;
const SVG = "http://www.w3.org/2000/svg";

/** Draw series of equal length, the last one on top. The scale goes up to `least` at least. */
export function draw(svg, series, least) {
  const paths = pathsOf(svg, series.length);
  const most = Math.max(...series.flat());
  svg.classList.toggle("flat", most <= 0);
  const top = Math.max(least, most);
  series.forEach((points, at) => {
    const line = trace(points, top);
    setPath(paths[at * 2], at ? "" : areaUnder(line));
    setPath(paths[at * 2 + 1], line.map(stretch).join(""));
  });
}

function pathsOf(svg, count) {
  if (!svg.firstChild) {
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    for (let at = 0; at < count; at += 1) {
      for (const kind of ["area", "line"]) {
        const path = document.createElementNS(SVG, "path");
        path.setAttribute("class", `${kind} of-${at}`);
        svg.append(path);
      }
    }
  }
  return svg.children;
}

function setPath(path, d) {
  if (path.getAttribute("d") !== d) path.setAttribute("d", d);
}

/** Stretches of points that follow each other without a hole. */
function trace(points, top) {
  const stretches = [];
  let open = null;
  points.forEach((value, at) => {
    if (value === null) {
      open = null;
      return;
    }
    if (open === null) stretches.push((open = []));
    const x = (at / (points.length - 1)) * WIDTH;
    const y = HEIGHT - 1.5 - (value / top) * (HEIGHT - 3);
    open.push([round(x), round(y)]);
  });
  return stretches;
}

const round = (value) => Math.round(value * 10) / 10;

function stretch(points) {
  // A single point would draw nothing.
  const whole = points.length > 1 ? points : [[points[0][0] - 1, points[0][1]], points[0]];
  return `M${whole.map((point) => point.join(" ")).join("L")}`;
}

function areaUnder(stretches) {
  const closed = (points) =>
    `${stretch(points)}L${points.at(-1)[0]} ${HEIGHT}L${points[0][0]} ${HEIGHT}Z`;
  return stretches.map(closed).join("");
}
