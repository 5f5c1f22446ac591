import { conformance } from '../src/runtime/conformance.ts';
import { nativeRuntime } from '../src/runtime/native/native.ts';
import { CONFORMANCE_CASES } from './conformance-cases.ts';

// what serves where FFI cannot load
const loadFfi = () => Promise.reject(new Error('left out by this test'));
conformance('native', () => nativeRuntime({ loadFfi, warn: () => {} }), { cases: CONFORMANCE_CASES });
