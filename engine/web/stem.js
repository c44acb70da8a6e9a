// Stems and options: plain text with line breaks and Markdown images, built from text nodes. Figures come out of the
// opened paper as blob: URLs, typed by their bytes; an SVG in an <img> runs no script.

import { h } from './dom.js';
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

/** The nodes for `text`: lines as they are, images as figures that can be enlarged unless `small` (inside a label). */
export function stemNodes(text, figures, small = false) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(IMAGE)) {
    const [whole, alt, name] = match;
    const figure = figures.has(name) ? picture(figures.get(name), alt, small) : h('span', { class: 'missing' }, t('exam.figure_missing', { name }));
    // A line break beside a figure is the figure's own block, not an empty line.
    nodes.push(text.slice(from, match.index).replace(/\n$/, ''), figure);
    from = match.index + whole.length;
    if (text[from] === '\n') from += 1;
  }
  return [...nodes, text.slice(from)].filter((node) => node !== '');
}

function picture(url, alt, small) {
  if (small) return h('img', { class: 'option-figure', src: url, alt });
  const open = () => enlarge(url, alt);
  return h('figure', {}, h('button', { type: 'button', class: 'figure', title: t('exam.zoom'), onclick: open }, h('img', { src: url, alt })));
}

function enlarge(url, alt) {
  const dialog = h('dialog', { class: 'zoom', 'aria-label': alt },
    h('img', { src: url, alt }),
    h('div', { class: 'actions' }, h('button', { type: 'button', class: 'main', onclick: () => dialog.close() }, t('exam.close'))));
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
