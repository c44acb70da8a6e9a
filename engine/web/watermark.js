// The admission ticket over the paper, on the screen and in print: a photograph of it tells whose it is. It takes no
// clicks and says nothing to a screen reader.

import { html } from './html.js';

export function Watermark({ candidate }) {
  return html`<svg class="watermark" aria-hidden="true">
    <defs><pattern id="watermark" width="360" height="170" patternUnits="userSpaceOnUse" patternTransform="rotate(-22)">
      <text x="0" y="60">${candidate.admission_ticket}</text><text x="170" y="145">${candidate.admission_ticket}</text></pattern></defs>
    <rect width="100%" height="100%" fill="url(#watermark)" />
  </svg>`;
}
