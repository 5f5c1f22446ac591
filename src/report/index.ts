/**
 * The report of a run folder as one HTML file.
 */
export { collectReport, type ReportData } from './data.ts';
export { renderReport, writeReport } from './report.ts';
