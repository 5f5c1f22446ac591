import { conformance } from '../src/runtime/conformance.ts';
import { webRuntime } from '../src/runtime/web/web.ts';
import { CONFORMANCE_CASES } from './conformance-cases.ts';

conformance('web', () => webRuntime(), { cases: CONFORMANCE_CASES });
