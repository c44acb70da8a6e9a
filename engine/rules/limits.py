"""Every bound of the engine, with its unit in the name and its reason beside it."""

from __future__ import annotations

import re

# --- identifiers and counters (API.md) -------------------------------------------------------------------------
ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)  # ids are the pusher's own strings
ADMISSION_CODE_PATTERN = re.compile(r"[A-Z0-9]{1,32}", re.ASCII)
SEQ_MAX = 2**53 - 1  # the largest integer a browser counts exactly

# --- bodies ----------------------------------------------------------------------------------------------------
PAPER_BODY_BYTES_MAX = 64 * 2**20  # a paper with its media
ROSTER_BODY_BYTES_MAX = 16 * 2**20  # about 80,000 candidates as JSON
AUTOSAVE_BODY_BYTES_MAX = 256 * 2**10
# A body over its limit is read to its end and thrown away, so that the client gets the answer instead of a broken pipe;
# past this it is cut off all the same.
DISCARDED_BYTES_MAX = 96 * 2**20
SMALL_BODY_BYTES_MAX = 64 * 2**10  # logins, batches, arming: never near this
JSON_DEPTH_MAX = 32  # a paper needs 7; deeper is an attack on the parser

# --- connections -----------------------------------------------------------------------------------------------
FILES_WANTED = 65_536  # open files of a worker: one per connection, and then some
READINESS_S = 2.0  # a dependency that has not answered `/readyz` by then is away: balancers wait little longer
RECORDER_LATE_S = 5  # readiness tells it beyond: usually it is a second
KEEP_ALIVE_S_WANTED = 120  # a candidate saves at least this often; a shorter one makes a room connect for every save

FIRST_REQUEST_S = 60  # from the connection to its first byte: browsers connect ahead of what they may ask
REQUEST_S = 30  # from a request's first byte to the end of its head; also in which a body has to get on:
REQUEST_BYTES_MIN = 8 * 2**10  # so much in that time, or its end: far below the slowest line that an exam could use
PEER_IDLE_S = 60  # then the kernel asks a silent peer whether it is there, as often as below
PEER_ASKED_EVERY_S = 20
PEER_ASKED_MAX = 3
PEER_UNACKNOWLEDGED_MS = 120_000  # what we sent is not taken for so long: the peer is gone, or does not read

# --- a save call -----------------------------------------------------------------------------------------------
CHANGES_PER_CALL_MAX = 200  # API.md; also keeps a script's HSET far below Lua's argument limit
TEXT_CHARACTERS_MAX = 20_000  # one text answer
FILL_CHARACTERS_MAX = 1_000  # one blank: a word or a phrase, never an essay
NUMERIC_DIGITS_MAX = 15  # every decimal of 15 significant digits survives a double and back

# --- papers ----------------------------------------------------------------------------------------------------
ITEMS_MAX = 1_000  # ten times a real paper; keeps a sitting's hash and a receipt small
SECTIONS_MAX = 100
OPTIONS_MAX = 26  # lettered a to z on the page
BLANKS_MAX = 50
ACCEPTED_MAX = 100  # accepted spellings of one blank
PLAIN_TEXT_CHARACTERS_MAX = 20_000  # one stem or option
TITLE_CHARACTERS_MAX = 200
POINTS_MAX = 10_000  # one item
POINTS_DECIMALS_MAX = 4  # section scores are exact to four decimals
MEDIA_MAX = 1_000
BANK_ITEMS_MAX = 100_000  # of an item bank: some hundred papers' worth
BLUEPRINT_ROWS_MAX = 200
DRAWN_FORMS_MAX = 64  # papers of one draw: several batches of a joint-exam day may share it
DRAWS_KEPT_MAX = 10_000  # in an exposure file: decades of joint exams
SHARES_MAX = 20  # of a paper key: more holders than that nobody brings together
SEALS_AT_ONCE = 2  # papers that one worker has sealed at the same time: each may take hundreds of MB for a while
SEAL_TIMEOUT_S = 120  # one paper of 64 MiB takes a few seconds
SEAL_MEMORY_BYTES_MAX = 4 * 2**30  # address space: the worst 64 MiB of JSON unfold to half of this

# --- batches and rosters ---------------------------------------------------------------------------------------
DURATION_S_MAX = 43_200
RULE_S_MAX = 86_400  # no rule reaches beyond a day
RULE_WORKDAYS_MAX = 60  # a quarter of a year: no authority publishes scores, or takes time to answer, for longer
EXTRA_TIME_S_MAX = 14_400
PEOPLE_MIN = 2  # an act like arming has a second pair of eyes
PEOPLE_MAX = 20
DISARM_BEFORE_START_S = 60  # later than this everything is on its way to the candidates, and clocks differ a little
NAME_CHARACTERS_MAX = 100
PLACE_CHARACTERS_MAX = 100  # site, room
ROSTER_ROWS_MAX = 100_000
FORMS_MAX = 8  # papers of a batch: neighbours on all sides differ with four, and each is sealed and cached by itself
FAULTS_LISTED_MAX = 1_000
ROSTER_UNPACKED_BYTES_MAX = 256 * 2**20  # of a workbook: sixteen times what may be sent
ROSTER_PARTS_MAX = 10_000  # files in a workbook's container; a real one has twenty
ROSTER_HEADER_ROWS_MAX = 100  # rows that hold something, in which the header is looked for
ROSTER_FAULTS_MARKED_MAX = 100_000  # in a marked workbook: one for each row of the largest roster
ROSTER_COMMENTS_MAX = 1_000  # in it: more of them make spreadsheets slow; all faults stand in a column as well
TABLE_CELLS_MAX = 4_000_000  # of a roster's sheets: the largest one with forty columns
TABLE_STRINGS_MAX = 2_000_000  # different texts of a workbook
TABLE_MERGES_MAX = 500_000
TABLE_ROWS_MAX = 1_048_576  # what spreadsheets have
TABLE_COLUMNS_MAX = 16_384
TABLE_TEXT_CHARACTERS_MAX = 1_000  # of a cell that counts: no field takes more than a tenth of it
ROSTER_READS_AT_ONCE = 2  # rosters that one worker has read at the same time: one may take seconds of a core
ROSTER_CHUNK_ROWS = 250  # candidates that a worker handles together, in steps of well below a millisecond
ROSTER_READ_TIMEOUT_S = 60  # 50,000 rows take a few seconds
ROSTER_READ_MEMORY_BYTES_MAX = 2 * 2**30  # address space
INSTANT_MS_MAX = 253_402_300_799_000  # the end of year 9999: beyond it dates cannot be printed

LAID_AT_ONCE = 25  # sittings of an armed batch that go to Redis together: it is at them for about a millisecond
LAID_REST_S_MAX = 0.01  # after each few: 100,000 candidates are laid within minutes, however busy Redis is
LAID_ROWS = 100  # read at a time: half a millisecond of a worker
REBUILT_AT_ONCE = 500  # of a partition that is being rebuilt
REBUILT_ROWS = 1_000  # bounds the responses held in memory: about 100 each

# --- the batch log ---------------------------------------------------------------------------------------------
BATCH_LOG_PAGE_DEFAULT = 100
BATCH_LOG_PAGE_MAX = 1_000
BATCH_LOG_CANDIDATES_MAX = 1_000  # of one roster push into an armed batch that its event names; it counts all
REVISION_MAX = 2**31 - 1  # of a result: what its column holds
CURSOR_MAX = 2**63 - 1  # of any feed: PostgreSQL's largest number

# --- sites and seating -----------------------------------------------------------------------------------------
ADDRESS_CHARACTERS_MAX = 200
SITE_ROOMS_MAX = 500  # a campus; a site of 5,000 candidates has some 170
ROOM_MACHINES_MAX = 1_000  # a sports hall; a machine room has about 30
ROOM_SPARES_MAX = 100
SITE_BODY_BYTES_MAX = 256 * 2**10  # so many rooms with their layouts, in words
SITES_PAGE_DEFAULT = 100
SITES_PAGE_MAX = 1_000
SEED_CHARACTERS_MAX = 64
SEATING_BODY_BYTES_MAX = 16 * 2**20  # an organisation for each candidate of the largest roster
TICKET_PREFIX_MAX = 32
ROOM_LISTS_CANDIDATES_MAX = 5_000  # on the lists of one call: a large site; a page of these has 3 MB
# Candidates for whom another seat in their room is looked for, per free machine: most rooms need none, and a batch of
# 50,000 in which nothing can be helped still takes seconds.
EXCHANGES_PER_MACHINE = 0.3

# --- photos ----------------------------------------------------------------------------------------------------
PHOTO_BYTES_MAX = 40 * 2**10  # 640x480 of a face takes 20 to 30 KB; beside the answers it fits 80 KB of a room's line
PHOTO_WIDTH_PX_MIN = 320  # below it nobody tells one face from another
PHOTO_HEIGHT_PX_MIN = 240
PHOTO_SIDE_PX_MAX = 2_000  # a few KB may unfold to gigabytes in the proctor's browser
PHOTOS_PER_SITTING_MAX = 8  # taken again, all kept: more than anybody needs to look straight into a camera
PHOTO_CALLS_PER_MINUTE = 30  # of one sitting, that are looked into and stored: who takes it again needs seconds
PHOTO_WINDOW_S = 60
PHOTO_STORE_S = 4  # PostgreSQL has not stored it by then: it is owed, and the candidate goes on
PHOTO_OWED_RETRY_S = 15  # after which the page sends an owed photo again
PHOTOS_PAGE_DEFAULT = 200  # a floor of machine rooms
PHOTOS_PAGE_MAX = 1_000

# --- assessors -------------------------------------------------------------------------------------------------
ASSESSORS_MAX = 15  # of one sitting: no panel is larger
MARK_DECIMALS_MAX = 2  # of an assessor's mark: finer than anybody judges
MARKS_PER_CALL_MAX = 1_000
ASSESSMENT_BODY_BYTES_MAX = 4 * 2**20  # so many marks with the longest comments in Chinese
COMMENT_CHARACTERS_MAX = 1_000  # on one mark
ASSESSMENTS_PAGE_DEFAULT = 20  # what somebody marks in a quarter of an hour
ASSESSMENTS_PAGE_MAX = 200  # essays of 20,000 characters each: some 12 MB

# --- item statistics -------------------------------------------------------------------------------------------
FLAG_SITTINGS_MIN = 30  # that answered an item: of fewer every oddity is chance
TIME_GAP_S_MAX = 600  # between two changes: longer is a pause, not work on an item
WRONG_VALUES_COUNTED_MAX = 10_000  # different ones of one item that a grader remembers
FREQUENT_WRONG_LISTED_MAX = 5
STATISTICS_SITTINGS_AT_ONCE = 500  # read by the grader in one query: 50,000 marks
STATISTICS_WAIT_S = 10  # that a call waits for the grader to count; 5,000 sittings take a few
STATISTICS_POLL_S = 0.25
STATISTICS_WITHHELD_MS = 60_000  # after which it is looked again whether the paper is still to be sat elsewhere
EXPLANATIONS_PER_CALL_MAX = 1_000

# --- pages of results ------------------------------------------------------------------------------------------
RESULTS_PAGE_DEFAULT = 100
RESULTS_PAGE_MAX = 1_000
RESULTS_FILE_PATIENCE_S = 30  # with PostgreSQL, for each page: whoever reads a file that breaks off has to begin anew
RESULTS_FILE_RETRY_S = 0.5
WORKBOOKS_AT_ONCE = 1  # of one worker: each takes a core
WORKBOOK_TIMEOUT_S = 300  # 100,000 results take half a minute of an idle core

# --- score reviews and regrades --------------------------------------------------------------------------------
REVIEW_CHARACTERS_MAX = 4_000  # of a request or its answer: a page
REGRADE_BODY_BYTES_MAX = 256 * 2**10  # every item of a large paper with a sentence each
REGRADE_CHANGES_MAX = 1_000  # a whole paper's; a real regrade has one to five
REGRADE_SITTINGS_MAX = 1_000  # looked at in one step: a third of a second; applied, a batch's results are in memory
REGRADES_LISTED_MAX = 100  # of one batch, the newest
STALE_LISTED_MAX = 20  # sittings named whose results changed since the dry run

# --- webhooks --------------------------------------------------------------------------------------------------
WEBHOOKS_MAX = 100  # each gets every result: an evaluation system or three, and their trials
WEBHOOK_URL_CHARACTERS_MAX = 2_000
WEBHOOK_BATCHES_MAX = 1_000
WEBHOOK_SECRET_BYTES_MIN = 24  # Standard Webhooks
WEBHOOK_SECRET_BYTES_MAX = 64
WEBHOOK_SECRET_BYTES = 32  # of one that we make
WEBHOOK_SECRET_OVERLAP_S = 86_400  # a changed secret's former one signs as well: receivers change when they can
FAN_OUT_RESULTS_MAX = 1_000  # results turned into deliveries in one transaction
DELIVERIES_AT_ONCE = 64  # of one courier: each waits for a stranger most of its time
DELIVERIES_PER_WEBHOOK = 4  # of one courier: a slow receiver leaves room for fifteen others
DELIVERIES_PER_TURN = 100  # of one batch, then another batch of the webhook has its turn
DELIVERY_ANSWER_BYTES_MAX = 4 * 2**10  # nobody reads it: so much is taken to keep the connection
DELIVERY_ANSWER_S = 1.0  # and so long is waited for it, when the status is known
DELIVERY_FAULT_CHARACTERS_MAX = 200
DELIVERY_HOLD_S = 5.0  # beyond an attempt's time-out, until another courier may take a batch whose courier fell silent
DELIVERY_TIMEOUT_S_MAX = 60  # what may be set for an attempt
DELIVERY_HOLD_MS_MAX = int((DELIVERY_TIMEOUT_S_MAX + DELIVERY_HOLD_S) * 1000)
DELIVERY_KEEP_ALIVE_S = 2  # of an idle connection: receivers close theirs after five, and then a message would be lost
DELIVERY_LATE_S = 300  # readiness is amber beyond
DELIVERIES_PAGE_DEFAULT = 100
DELIVERIES_PAGE_MAX = 1_000
REPLAYED_MESSAGES_MAX = 1_000  # named in one call

# --- delivery ---
SEALED_KEPT_BYTES_MAX = 128 * 2**20  # sealed papers that one worker keeps in memory

# --- release of paper keys -------------------------------------------------------------------------------------
RELEASE_WAIT_MS = 1_000  # a call for a key waits so long for the later clock; beyond it the answer is `try_later`
RELEASE_RETRY_S = 2  # then, and after a failure of the key provider: a whole hall that asks must not drown the saves
CLOCKS_APART_WARNED_MS = 500  # between Redis and a worker: half of what a start may be late

# --- the save path ---------------------------------------------------------------------------------------------
CHUNK_CALLS_MAX = 512  # save calls in one script call: about 3 ms of Redis's time
CHUNK_BYTES_MAX = 2 * 2**20  # and no more than this in one log entry
QUEUE_CALLS_MAX = 8_192  # waiting per partition and worker; beyond it the answer is `try_later`
QUEUE_BYTES_MAX = 16 * 2**20  # and no more than this, however few calls it is
SITTING_CALLS_MAX = 64  # of one sitting in its lane: a client sends again after an answer, not before
SITTING_BYTES_MAX = 2 * 2**20  # and no more than this: nobody's long answers take the room of a whole partition

# --- the channel -----------------------------------------------------------------------------------------------
CHANNELS_MAX = 60_000  # open in one worker: below its open files; beyond it the answer is `try_later`
CHANNEL_FRAME_BYTES_MAX = AUTOSAVE_BODY_BYTES_MAX  # a save is a save; also for a message in fragments
CHANNEL_FRAMES_PER_S = 250  # a person makes five changes a second; a journal of thousands is out within a minute
CHANNEL_FRAMES_BURST = 1_000
CHANNEL_UNANSWERED_MAX = 32  # saves of one channel under way: then it is not read from until some are answered
CHANNEL_UNANSWERED_BYTES_MAX = 512 * 2**10
CHANNEL_UNREAD_BYTES_MAX = 256 * 2**10  # answers that wait for a slow reader, beyond the kernel's buffers: then it goes
CHANNEL_HELLO_S = 10  # from the upgrade to `hello`
CHANNEL_TURN_S = 10  # how often each channel is looked at for being quiet
# A quiet channel is shown, with its turn, that the line lives: before proxies cut idle lines after a minute, and before
# browsers ask by TCP after 45 s. A sign that needs no answer takes half of what asking does (56 bytes of the line), and
# a candidate who thinks is quiet some hundred times in an exam; whether anybody is there is asked more seldom.
CHANNEL_SIGN_S = 33
CHANNEL_PING_S = 110
CHANNEL_PING_WATCHED_S = 33  # while proctors look at the room
CHANNEL_WATCHED_S = 60  # after they last did
CHANNEL_PING_OFTEN_S = 15  # where others are kept out as long as this machine shows that it lives
CHANNEL_UNHEARD_S = 40  # several pings without an answer: nobody is there
CHANNEL_CLOSE_S = 3  # from a close frame to the cut
CHANNEL_POLL_S = 0.25  # between looks at the news: `committed` and takeovers have a second
CHANNEL_COMMITTED_S = 0.4  # a hall's acknowledgements tell it first: with two polls and the telling below a second
CHANNEL_TOLD_AT_ONCE = 64  # of `committed`, then saves come first: 5,000 channels hear it within a fifth of a second
CHANNEL_SLICE = 200  # channels served in one turn of the event loop: about 5 ms
CHANNEL_LOOK_SITTINGS_MAX = 256  # sittings looked at by one script call: below 1 ms of Redis's time

# --- garbage ---------------------------------------------------------------------------------------------------
GARBAGE_OBJECTS_MAX = 10_000  # new ones that stay before a process looks at them: 256 calls under way hold some 3,000
GARBAGE_ROUNDS = 10  # looks at the young before one at the older: all that is, once a million objects came to stay
THREAD_TURN_S = 0.0005  # how long the event loop waits for a thread that computes: a save takes some such turns

# --- processors ---------------------------------------------------------------------------------------------------
SHORT_TURN_S = 0.0002  # of who saves: a chunk takes half of it; the kernel's own turns are of 3 ms and more

# --- HTTP heads ------------------------------------------------------------------------------------------------
HEAD_BYTES_MAX = 4 * 2**20  # request line and headers: a proxy's largest, many times over
SAVE_HEAD_BYTES_MAX = 4 * 2**10  # of a save call that may go the short way: browsers send about 700 bytes
HEADS_KEPT = 65_536  # of save calls that one worker remembers, one per candidate: about 50 MB when all are there
HEADS_KEPT_BYTES_MAX = 64 * 2**20  # and no more than this, however long they are

# --- connections to Redis --------------------------------------------------------------------------------------
CALL_TIMEOUT_S = 2.0  # a fsync on a busy disk takes tens of ms; longer means the node is gone
BULK_TIMEOUT_S = 20.0  # silence while a large answer is made, or a sealed paper of 64 MiB is taken in
CONNECT_TIMEOUT_S = 2.0
COMMANDS_WAITING_MAX = 8_192  # per line: 16 partitions have one chunk each under way; only a flood gets here

# --- login -----------------------------------------------------------------------------------------------------
TYPED_CHARACTERS_MAX = 200  # a code or an ID number before folding: far more than anybody types
LOGIN_ATTEMPTS_PER_MINUTE = 120  # per code and ID number together, right or wrong: two devices in a quarrel
LOGIN_FAILURES_PER_MINUTE = 30  # per ID number under any code: a person with trembling hands needs five
LOGIN_WINDOW_S = 60
TAKEOVER_SILENT_S = 60  # rule `silent`: how long the old machine must have been quiet

# --- invigilation ----------------------------------------------------------------------------------------------
TAKEOVER_ALLOWED_S = 600  # for the walk to another machine and its start; a permission that is forgotten ends by itself
REASON_CHARACTERS_MAX = 500  # why a proctor acted: a sentence or three
EVENTS_PER_CALL_MAX = 100  # of a page that could not send for an hour
EVENTS_BODY_BYTES_MAX = 32 * 2**10  # so many with the longest ids, and some
EVENTS_PER_SITTING_MAX = 1_000  # on record; nobody leaves a window more often, a script might
EVENT_CALLS_PER_MINUTE = 30  # of one sitting: a page waits seconds between two
EVENTS_WINDOW_S = 60
EVENT_WRITERS_MAX = 2  # of a worker's connections to PostgreSQL, usually four: the rest is for proctors and photos
EVENTS_WAIT_S = 3  # for one of these; the page keeps its events and sends them again
EVENTS_PAGE_DEFAULT = 100
EVENTS_PAGE_MAX = 1_000
ROOMS_SPAN_MS = 24 * 3600 * 1000  # before and after now: which batches a proctor is shown unless asked otherwise
SEATS_MAX = 200  # of one room in one answer; a machine room has about 30
SEAT_ASKED_MS = 8_000  # without a sign of life: then workers are asked whether its channel is open

# --- device checks ---------------------------------------------------------------------------------------------
PROBE_BYTES_MAX = 512 * 2**10  # one probe of the line: half a second at a whole site's 10 Mbit/s
PROBES_PER_MINUTE = 120  # of one machine: a check takes about twenty, most of them of a few bytes
MANAGEMENT_PROBES_PER_MINUTE = 4_000  # of a batch: 5,000 candidates sit in some 170 rooms with one such machine each
PROBE_WINDOW_S = 60
USER_AGENT_CHARACTERS_MAX = 512
DEVICE_BODY_BYTES_MAX = 8 * 2**10  # about 1 KB; anybody may send one, and reading JSON takes turns of the event loop
MEASURED_MAX = 2**40  # no rate in kbit/s and no disk in MiB comes near
CLOCK_APART_MS_MAX = INSTANT_MS_MAX  # a machine whose battery is empty believes to be in 1970

# --- recording -------------------------------------------------------------------------------------------------
RECORD_BYTES_MAX = 2**20  # log content in one transaction: some 20,000 small changes, a third of a second of PostgreSQL
RECORD_TIMEOUT_S = 20  # one statement of a recording transaction; longer means that PostgreSQL is gone
CENSUS_SITTINGS_MAX = 10_000  # sitting ids asked for at once
RESTORE_SITTINGS_MAX = 200  # sittings restored in one transaction: about 20,000 responses
LEASE_S = 4  # a dead recorder's partitions are free after this; under the promised 5 s
COLLECT_SITTINGS_MAX = 200  # sittings collected by one script call: 2 ms of Redis's time
GRADE_SITTINGS_MAX = 200  # sittings graded in one transaction
MARK_BOOK_BYTES_MAX = 64 * 2**20  # marks that a grader remembers of one answer key: some 100,000 different responses
MARK_BOOKS_BYTES_MAX = 256 * 2**20  # and of all: on a joint-exam day dozens of batches close at one moment
MARKS_KEPT_CHARACTERS_MAX = 200  # longer responses are hardly ever given twice

# --- keeping ---------------------------------------------------------------------------------------------------
ARCHIVE_SITTINGS_AT_ONCE = 200  # whose rows one query of an archive asks for; rows come a few at a time all the same
ARCHIVE_ROWS_AT_ONCE = 200  # rows on their way from PostgreSQL: the longest, a text answer, has about 100 KB
ARCHIVE_BLOBS_AT_ONCE = 1  # a sealed paper has up to 64 MiB
ARCHIVE_LINE_BYTES_MAX = 64 * 2**20  # one row in an archive: the log of a roster of 100,000 rows is the longest
ARCHIVE_MANIFEST_BYTES_MAX = 256 * 2**20  # 800,000 photos, each a line of 200 bytes
ERASED_SITTINGS_AT_ONCE = 50  # in one transaction, with all their changes: below a second of PostgreSQL
ERASED_ROWS_AT_ONCE = 5_000  # of one table of a batch
ARCHIVE_FAULTS_MAX = 100  # told of one archive: beyond that it is not one archive any more

assert CHANGES_PER_CALL_MAX * 3 < 8_000, "Lua cannot unpack more arguments than this"
assert RESULTS_PAGE_DEFAULT <= RESULTS_PAGE_MAX
assert RESULTS_FILE_RETRY_S < RESULTS_FILE_PATIENCE_S < WORKBOOK_TIMEOUT_S
assert ASSESSMENTS_PAGE_DEFAULT <= ASSESSMENTS_PAGE_MAX
assert MARKS_PER_CALL_MAX * COMMENT_CHARACTERS_MAX * 3 < ASSESSMENT_BODY_BYTES_MAX, "in UTF-8"
assert AUTOSAVE_BODY_BYTES_MAX < CHUNK_BYTES_MAX, "one legal call must always fit into a chunk"
assert CHUNK_BYTES_MAX < QUEUE_BYTES_MAX, "a lane must hold the next chunk while one is under way"
assert 2 * CHANNEL_UNANSWERED_MAX <= SITTING_CALLS_MAX, "a sitting's two channels must fit into its lane"
assert 2 * (CHANNEL_UNANSWERED_BYTES_MAX + CHANNEL_FRAME_BYTES_MAX) <= SITTING_BYTES_MAX, "in bytes as well"
assert 4 * SITTING_BYTES_MAX < QUEUE_BYTES_MAX, "a lane has room for others"
assert MARK_BOOK_BYTES_MAX < MARK_BOOKS_BYTES_MAX, "one answer key must not push out all the others"
assert CHANNEL_SIGN_S + CHANNEL_TURN_S < 45, "a browser's own question would come as well"
assert CHANNEL_UNHEARD_S > 2 * CHANNEL_TURN_S, "silence is several unanswered pings"
assert SEAT_ASKED_MS < CHANNEL_WATCHED_S * 1000, "who is watched is asked in time"
assert CHANNEL_PING_OFTEN_S + 3 * CHANNEL_TURN_S < TAKEOVER_SILENT_S, "who is there is noted before others are let in"
assert PHOTOS_PAGE_DEFAULT <= PHOTOS_PAGE_MAX
assert DELIVERIES_PER_WEBHOOK < DELIVERIES_AT_ONCE, "one slow receiver must not stop the others"
