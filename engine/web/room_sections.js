// What hangs in the room's page beside the seats. A section is a module of its own that exports `section(room)` and is
// listed here; nothing else of the page knows it. `section(room)` is called once per opened room and returns null where
// the batch has nothing for it, or
//
//   name        the words' name of its tab (in room_words.zh.js and room_words.en.js), such as 'photo.tab'
//   View        a component without props: the tab's content
//   waiting?    () => how many things wait for the proctor there; shown on the tab when above 0
//   SeatPart?   a component with the prop `seat` (as `GET …/seats` has it): shown in the panel of an opened seat
//   mark?       (seat) => a short text for the seat's card, or null
//   stop?       () => ends what the section started, when the room is left
//
// and `room` (room_state.js) gives it
//
//   room.call(method, path, options)   as `call` of api.js, with the proctor's key; a key that no longer counts is dealt with
//   room.place                         {batch, site, room}: `batch` as `GET /v1/invigilation` has it
//   room.key                           the proctor's key, for what `call` cannot do
//   room.query                         `site=…&room=…`, encoded
//   room.view.value                    a signal: the newest answer of `GET …/seats`, or null
//   room.every(work, ms)               calls `work` now and every `ms` until the room is left, never twice at once
//   room.signal                        aborted when the room is left

import { section as devices } from './device_room.js';
import { photoSection } from './room_photos.js';

export const sections = [photoSection, devices];
