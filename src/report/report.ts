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
import { mainOf, page, type Section } from './page.ts';
import { picturesSection } from './pictures.ts';
import { stagesSection } from './stages.ts';
import { rolesOf } from './story.ts';
import { studentsSection } from './students.ts';
import { tradeSection } from './trade.ts';
import { writingSection } from './writing.ts';

/** The whole page as text. */
export function renderReport(data: ReportData): string {
  const sections: readonly Section[] = [
    ['pipeline', data.stages.length === 1 ? 'Model' : 'Pipeline', stagesSection(data)],
    ['curves', 'Curves', curvesSection(data)],
    ['pictures', 'Pictures', picturesSection(data)],
    ['answers', 'Answers', answersSection(data)],
    ['writing', 'Writing', writingSection(data)],
    ['trade', 'Costs', tradeSection(data)],
    ['students', 'Students', studentsSection(data)],
  ];
  return page(
    `${data.recipe} · ${sentence(data, rolesOf(data))}`,
    mainOf(headline(data), sections, endingSections(data), [['words', 'Words']]),
  );
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
