/** What became of a model, as one HTML file that opens offline. */
import { mainOf, page } from '../page.ts';
import { choicesSection } from './choices.ts';
import type { CompressionData } from './data.ts';
import { endingSections } from './ending.ts';
import { findingsSection } from './findings.ts';
import { graphSection } from './graph.ts';
import { memorySection } from './memory.ts';
import { overview, sentence } from './overview.ts';
import { COMPRESSION_STYLE } from './style.ts';

/** The whole page as text. */
export const renderCompression = (data: CompressionData): string =>
  page(
    sentence(data),
    mainOf(
      overview(data),
      [
        ['choices', 'Choices', choicesSection(data)],
        ['graph', 'Graph', graphSection(data)],
        ['memory', 'Memory', memorySection(data)],
        ['findings', 'Device', findingsSection(data)],
      ],
      endingSections(data),
      [
        ['words', 'Words'],
        ['again', 'Files'],
      ],
    ),
    COMPRESSION_STYLE,
  );
