import { conformance } from '../src/runtime/conformance.ts';
import { referenceRuntime } from '../src/runtime/reference/index.ts';
import { CONFORMANCE_CASES } from './conformance-cases.ts';

conformance('reference', referenceRuntime, { cases: CONFORMANCE_CASES });
