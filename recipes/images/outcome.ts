/** What a stage of recipe images reports about the held-out pictures. */
import { accuracyOf } from '../../src/compress/evaluate.ts';
import { labelsOf } from '../../src/data/examples/examples.ts';
import type { Model } from '../../src/graph/ir.ts';
import type { Runtime } from '../../src/runtime/runtime.ts';
import type { ClassifierStageResult, ShownPicture } from '../../src/train/run.ts';
import { type Pictures, pictureUrl } from './data.ts';

type Outcome = Pick<
  ClassifierStageResult,
  'accuracy' | 'accuracyInterval' | 'heldOut' | 'classes' | 'confusion' | 'pictures'
>;

/** Most pictures of each kind that are shown: mistaken ones, and right ones. */
const SHOWN = 18;

/** Accuracy, classes by classes, and pictures: those that `model` mistakes first. */
export async function outcomeOf(runtime: Runtime, model: Model, pictures: Pictures): Promise<Outcome> {
  const { heldOut, classes } = pictures;
  const { accuracy, interval, predictions } = await accuracyOf(runtime, model, heldOut);
  const labels = labelsOf(heldOut);
  const confusion = classes.map(() => classes.map(() => 0));
  predictions.forEach((found, i) => {
    confusion[labels[i]][found]++;
  });
  const all = [...predictions.keys()];
  const wrong = all.filter(i => predictions[i] !== labels[i]).slice(0, SHOWN);
  const right = all.filter(i => predictions[i] === labels[i]).slice(0, SHOWN);
  const shown = (i: number): ShownPicture => ({
    image: pictureUrl(heldOut, i, pictures.dims),
    label: classes[labels[i]],
    found: classes[predictions[i]],
  });
  return {
    accuracy,
    accuracyInterval: interval,
    heldOut: heldOut.count,
    classes,
    confusion,
    pictures: [...wrong, ...right].map(shown),
  };
}
