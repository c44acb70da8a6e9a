// Stems and options: plain text with line breaks and Markdown images, drawn as text. Figures come out of the opened paper
// as blob: URLs, typed by their bytes; an SVG in an <img> runs no script.

import { openDialog } from './dialog.js';
import { html } from './html.js';
import { bytesOf } from './seal.js';
import { t } from './words.js';

const IMAGE = /!\[([^\]\n]*)\]\(([^()\s]+)\)/g;
const SIGNATURES = [
  ['image/png', [0x89, 0x50, 0x4e, 0x47]],
  ['image/jpeg', [0xff, 0xd8, 0xff]],
  ['image/gif', [0x47, 0x49, 0x46, 0x38]],
  ['image/webp', [0x52, 0x49, 0x46, 0x46]],
];

/** name -> blob: URL for a paper's media (base64 by name). */
export function figureUrls(media) {
  return new Map(Object.entries(media).map(([name, base64]) => {
    const bytes = bytesOf(base64);
    return [name, URL.createObjectURL(new Blob([bytes], { type: typeOf(bytes) }))];
  }));
}

function typeOf(bytes) {
  const known = SIGNATURES.find(([, signature]) => signature.every((byte, index) => bytes[index] === byte));
  if (known) return known[0];
  const start = new TextDecoder().decode(bytes.subarray(0, 1024)).replace(/^\ufeff/, '').trimStart();
  return /^<(\?xml|!--|!doctype svg|svg)/i.test(start) ? 'image/svg+xml' : 'application/octet-stream';
}

/** `text`: lines as they are, images as figures that can be enlarged unless `small` (inside a label). */
export function Stem({ text, figures, small = false }) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(IMAGE)) {
    const [whole, alt, name] = match;
    const url = figures.get(name);
    const figure = url ? html`<${Figure} url=${url} alt=${alt} small=${small} />` : html`<span class="missing">${t('exam.figure_missing', { name })}</span>`;
    // A line break beside a figure is the figure's own block, not an empty line.
    nodes.push(text.slice(from, match.index).replace(/\n$/, ''), figure);
    from = match.index + whole.length;
    if (text[from] === '\n') from += 1;
  }
  return [...nodes, text.slice(from)].filter((node) => node !== '');
}

function Figure({ url, alt, small }) {
  if (small) return html`<img class="option-figure" src=${url} alt=${alt} />`;
  return html`<figure><button type="button" class="figure" title=${t('exam.zoom')} aria-label=${`${alt}，${t('exam.zoom')}`}
    onclick=${() => enlarge(url, alt)}><img src=${url} alt="" /></button></figure>`;
}

/** After a label, whose figures are small and whose click chooses: a button that enlarges each of them. */
export function Enlargers({ text, figures, letter }) {
  const found = [...text.matchAll(IMAGE)].filter(([, , name]) => figures.has(name));
  return found.map(([, alt, name]) => html`<button type="button" class="quiet enlarger" onclick=${() => enlarge(figures.get(name), alt)}>
    ${t('exam.zoom_option', { letter })}</button>`);
}

function enlarge(url, alt) {
  const { dialog, close } = openDialog(html`<div class="zoomed"><img src=${url} alt=${alt} /></div>
    <div class="actions">
      <button type="button" class="twice" onclick=${({ currentTarget }) => currentTarget.setAttribute('aria-pressed', dialog.classList.toggle('twice'))}
        aria-pressed="false">${t('exam.zoom_more')}</button>
      <button type="button" class="main" onclick=${() => close()}>${t('exam.close')}</button></div>`, { class: 'zoom', 'aria-label': alt || t('exam.figure') });
  dialog.querySelector('.main').focus();
}
