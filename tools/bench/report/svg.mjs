/** In pixels; what stands in docs is scaled to its column. */
export const WIDTH = 1_000;

/** @typedef {{ svg: string; height: number }} Drawing */

/** On a light ground and on a dark one. Told apart by those too who do not see all colours (after Okabe and Ito). */
const COLOURS = [
  ['#0072b2', '#4aa8e8'],
  ['#d55e00', '#ff8c42'],
  ['#009e73', '#2fcf9f'],
  ['#b0568f', '#e59ac4'],
  ['#a87400', '#f0b429'],
];

/**
 * A picture on a ground of its own, so that it can be read wherever it stands, in the reader's scheme.
 * @param {string} content
 * @param {number} height
 */
export function wrapSvg(content, height) {
  const [light, dark] = [0, 1].map((scheme) =>
    COLOURS.map((pair, index) => `.c${index}{stroke:${pair[scheme]}}.f${index}{fill:${pair[scheme]}}`).join(
      '',
    ),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">
<style>
text{font:12px system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-size:15px;font-weight:600}.note{font-size:11px;fill:#59636e}
.ground{fill:#ffffff;stroke:#d1d9e0}.grid{stroke:#d1d9e0}.axis{stroke:#59636e}
.line{fill:none;stroke-width:2}.good{fill:#1a7f37}.bad{fill:#bc4c00}
${light}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.note{fill:#9198a1}
.ground{fill:#0d1117;stroke:#3d444d}.grid{stroke:#2a313c}.axis{stroke:#9198a1}.good{fill:#3fb950}.bad{fill:#f0883e}
${dark}}
</style>
<rect class="ground" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>
${content}
</svg>
`;
}

export const colourOf = (/** @type {number} */ index) => index % COLOURS.length;

/**
 * @param {string} content
 * @param {{ x: number; y: number; anchor?: 'start' | 'middle' | 'end'; kind?: 'title' | 'note' }} place
 */
export function text(content, { x, y, anchor = 'start', kind }) {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const css = kind === undefined ? '' : ` class="${kind}"`;
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${css}>${escaped}</text>`;
}

/** @param {string} css @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
export function line(css, x1, y1, x2, y2) {
  return `<line class="${css}" x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}"/>`;
}

/** @param {string} css @param {number} x @param {number} y @param {number} width @param {number} height */
export function box(css, x, y, width, height) {
  return `<rect class="${css}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"/>`;
}

export const round = (/** @type {number} */ value) => Math.round(value * 10) / 10;
