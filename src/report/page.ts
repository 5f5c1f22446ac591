/**
 * The page around a report: everything inside, and a policy that forbids any request.
 */
import { html, Markup, type Part } from './html.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

export type Section = readonly [id: string, title: string, section: Markup | false];

/** The whole page as text; `style` is added to the style that all reports share. */
export function page(title: string, body: Markup, style = ''): string {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}"><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<title>${title}</title><style>${new Markup(STYLE + style)}</style></head>
<body>${body}<div id="tip" role="status" hidden></div><script>${new Markup(SCRIPT)}</script></body></html>
`.text;
}

/** Header, links to the sections that are there, sections, ending (whose links are `more`). */
export function mainOf(
  header: Markup,
  sections: readonly Section[],
  ending: Markup,
  more: readonly (readonly [id: string, title: string])[],
): Markup {
  const there = sections.filter(([, , section]) => section);
  const links: Part = [...there, ...more].map(([id, title]) => html`<a href="#${id}">${title}</a>`);
  return html`<main>${header}<nav aria-label="Sections">${links}</nav>${there.map(([, , section]) => section)}${ending}</main>`;
}

/** A figure of the header. */
export const tile = (label: string, value: string, note: string): Markup =>
  html`<div class="tile"><span class="label">${label}</span><strong>${value}</strong><span class="note">${note}</span></div>`;
