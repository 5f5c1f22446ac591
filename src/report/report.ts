/**
 * The report of a run: one HTML file that opens offline.
 *
 * 1. Everything is inside: style, charts, script. The page's own policy forbids any request.
 * 2. It says what is there: an unfinished run, a single stage, a run without samples each give a smaller page.
 */
import type { FileStore } from '../util/files.ts';
import { answersSection } from './answers.ts';
import { curvesSection } from './curves.ts';
import { collectReport, type ReportData } from './data.ts';
import { endingSections } from './ending.ts';
import { headline, sentence } from './headline.ts';
import { html, Markup, type Part } from './html.ts';
import { SCRIPT } from './script.ts';
import { stagesSection } from './stages.ts';
import { rolesOf } from './story.ts';
import { studentsSection } from './students.ts';
import { STYLE } from './style.ts';
import { tradeSection } from './trade.ts';
import { writingSection } from './writing.ts';

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/** The whole page as text. */
export function renderReport(data: ReportData): string {
  const sections: readonly (readonly [id: string, title: string, section: Markup | false])[] = [
    ['pipeline', data.stages.length === 1 ? 'Model' : 'Pipeline', stagesSection(data)],
    ['curves', 'Curves', curvesSection(data)],
    ['answers', 'Answers', answersSection(data)],
    ['writing', 'Writing', writingSection(data)],
    ['trade', 'Costs', tradeSection(data)],
    ['students', 'Students', studentsSection(data)],
  ];
  const there = sections.filter(([, , section]) => section);
  const links: Part = [...there.map(([id, title]) => [id, title] as const), ['words', 'Words'] as const].map(
    ([id, title]) => html`<a href="#${id}">${title}</a>`,
  );
  return page(
    `${data.recipe} · ${sentence(data, rolesOf(data))}`,
    html`<main>${headline(data)}<nav aria-label="Sections">${links}</nav>${there.map(([, , section]) => section)}${endingSections(data)}</main>`,
  );
}

function page(title: string, body: Markup): string {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}"><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<title>${title}</title><style>${new Markup(STYLE)}</style></head>
<body>${body}<div id="tip" role="status" hidden></div><script>${new Markup(SCRIPT)}</script></body></html>
`.text;
}

/**
 * Makes report.html of a run folder from its files.
 * @returns the path of the page
 */
export async function writeReport(
  files: FileStore,
  folder: string,
  machine: ReportData['machine'] = {},
): Promise<string> {
  const data = await collectReport(files, folder);
  const path = `${folder}/report.html`;
  await files.write(path, renderReport({ ...data, machine: { ...data.machine, ...machine } }));
  return path;
}
