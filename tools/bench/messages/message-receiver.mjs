// The receiver of a subject: node message-receiver.mjs SUBJECT PLACE. It tells its address, and on SIGUSR2 its memory.
import { SUBJECTS } from './message-subjects.mjs';
import { tellMemory } from '../process/memory.mjs';

const [name = '', place = '{}'] = process.argv.slice(2);
const address = await SUBJECTS[name]?.receive(JSON.parse(place));
tellMemory();
process.send?.({ address });
