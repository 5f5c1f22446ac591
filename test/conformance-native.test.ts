import { conformance } from '../src/runtime/conformance.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { CONFORMANCE_CASES } from './conformance-cases.ts';

conformance('native', () => nativeRuntime(), { cases: CONFORMANCE_CASES });
