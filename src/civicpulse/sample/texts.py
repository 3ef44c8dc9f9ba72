"""What people in Harbour City write, in English; `tongues.py` has the other languages.

A line may begin with the sub-category it speaks of and a bar. Slots: {street}, {landmark}, {days}.
"""

from random import Random

from civicpulse.sample.tongues import OTHER_LANGUAGES, TALK

Lines = tuple[str, ...]

REPORTS: dict[str, Lines] = {
    "pothole": (
        "roadway|Deep pothole in the right lane of {street}, cars swerve around it.",
        "roadway|Huge hole in the road near {landmark}. My front tire burst this morning.",
        "roadway|The asphalt on {street} has broken up again, third time this year.",
        "utility_cut|The patch over the gas works trench has sunk about four inches.",
        "bike_lane|Pothole in the bike lane on {street}, I nearly went over the handlebars.",
        "roadway|Pothole the size of a dinner table by {landmark}.",
        "roadway|Row of potholes before the crossing, the bus shakes like mad every time.",
        "utility_cut|Sunken manhole on {street}, everything rattles when trucks pass at night.",
    ),
    "street_light": (
        "outage|Street light in front of our house is out.",
        "outage|Lamp on {street} flickers all night and then dies.",
        "several_out|Three lamps in a row are dark near {landmark}, it does not feel safe.",
        "day_burner|This lamp burns all day long.",
        "knocked_down|A delivery truck hit the light pole, it leans over the sidewalk.",
        "several_out|The whole stretch of {street} behind {landmark} is pitch dark.",
        "outage|Light has been out for {days} days, reported it by phone already.",
    ),
    "traffic_signal": (
        "dark|Traffic light is dark in all directions at the corner by {landmark}.",
        "stuck|Signal on {street} is stuck on red, people start running it.",
        "pedestrian|Walk button does nothing, you wait forever to cross to {landmark}.",
        "timing|Left turn arrow gives time for two cars only, the line reaches back to the bridge.",
        "stuck|Lights flash yellow since the thunderstorm.",
    ),
    "sign_damage": (
        "stop_sign|The stop sign at this corner was knocked over last night.",
        "street_name|Street name sign points the wrong way since the storm.",
        "marking|Crosswalk paint in front of {landmark} has worn away completely.",
        "stop_sign|Stop sign on {street} is hidden behind branches.",
        "street_name|Somebody stole the sign of {street} again.",
    ),
    "sidewalk_damage": (
        "tree_root|A tree root has lifted the sidewalk, my mother tripped there.",
        "curb|The curb on {street} is crushed where trucks turn.",
        "ramp|No ramp at this corner, strollers have to use the road.",
        "tree_root|Uneven slabs all along {street}, worst near number {days}.",
        "curb|Loose bricks outside the bakery near {landmark}.",
    ),
    "snow_ice": (
        "street|{street} has not been plowed since the storm.",
        "sidewalk|Solid ice on the sidewalk by {landmark}.",
        "street|The plow left a wall of snow across our driveways.",
        "sidewalk|Nobody clears the steps down to {landmark}, very slippery.",
    ),
    "street_cleaning": (
        "full_bin|The public trash can near {landmark} is overflowing.",
        "broken_glass|Broken glass all over the bike path after the weekend.",
        "full_bin|Bin at the tram stop on {street} has not been emptied for {days} days.",
        "full_bin|Gutter is full of leaves, the sweeper has skipped our block again.",
        "broken_glass|Smashed bottles on the steps by {landmark}, kids walk there barefoot.",
        "full_bin|Market left boxes and fish waste behind, it smells terrible.",
    ),
    "water_leak": (
        "main_break|Clean water bubbles up through the pavement and runs down {street}.",
        "hydrant|Hydrant at the corner near {landmark} has been leaking since yesterday.",
        "no_water|No water in our building since six this morning.",
        "no_water|Pressure is so low that the shower does not start, {street} odd numbers.",
        "hydrant|Somebody opened the hydrant for the kids and it does not close.",
    ),
    "sewer_backup": (
        "odor|Terrible sewer smell on the whole block since Monday.",
        "backup|Toilet and floor drain back up when the neighbours use water.",
        "odor|It stinks of sewage around {landmark} every evening.",
        "backup|Dirty water comes up through the grate on {street}.",
        "manhole_cover|Loose manhole cover on {street}, it jumps when cars drive over it.",
    ),
    "flooding": (
        "The storm drain is clogged and the whole crossing is under water.",
        "Water stands knee-deep in the underpass near {landmark}.",
        "Every rain floods our sidewalk because the catch basin is full of leaves.",
        "{street} turned into a river, water is at the door sills.",
    ),
    "missed_trash": (
        "trash|Our trash was not collected, the bags are still on the curb.",
        "recycling|The recycling truck skipped our side of {street}.",
        "yard_waste|Yard waste has been waiting for {days} days now.",
        "trash|Missed again! Second week in a row on {street}.",
        "recycling|They emptied the bins of the neighbours but not ours.",
        "trash|Garbage pickup never came and the gulls tear the bags open.",
    ),
    "bulk_pickup": (
        "furniture|Please pick up an old couch and two chairs.",
        "appliance|I would like to schedule the removal of a refrigerator.",
        "furniture|We have a mattress and a bed frame to throw away.",
        "electronics|Two old TV sets and a printer, ready at the curb on Thursday.",
        "appliance|Washing machine, ground floor, can be rolled out.",
    ),
    "illegal_dumping": (
        "construction|Construction debris has been left in the alley behind {street} again.",
        "construction|Somebody dumped a truckload of tires near {landmark}.",
        "hazardous|Paint cans and oil drums by the water below {landmark}.",
        "construction|Pile of drywall and a bathtub on the empty lot.",
        "construction|Mattresses and bags dumped under the bridge, it grows every night.",
    ),
    "graffiti": (
        "The wall near {landmark} was tagged over the weekend.",
        "offensive|Offensive writing on the playground slide.",
        "Graffiti all along the underpass on {street}.",
        "Fresh spray paint on the tram shelter.",
        "The mural near {landmark} has been painted over by taggers.",
    ),
    "fallen_tree": (
        "blocking_road|A big tree came down and lies across {street}.",
        "hanging|A heavy branch hangs over the bus stop and could fall any moment.",
        "blocking_road|Large limb on the sidewalk by {landmark}, nobody gets past.",
        "hanging|Split tree after last night's wind, one half leans on a parked car.",
    ),
    "tree_pruning": (
        "pruning|The branches in front of my window need trimming.",
        "planting|Please plant a new tree where the old one was removed.",
        "dead_tree|This street tree looks dead, could somebody check it?",
        "pruning|Low branches scrape the roof of the bus on {street}.",
        "pruning|Tree covers the street lamp, it is dark below.",
    ),
    "park_maintenance": (
        "playground|A swing on the playground near {landmark} is broken and has a sharp edge.",
        "restroom|Restroom in the park has been locked for {days} days.",
        "lawn|The grass at the ball field has not been cut this month.",
        "playground|Sand box is full of cat mess, please change the sand.",
        "lawn|Irrigation runs day and night by {landmark}.",
    ),
    "dead_animal": (
        "Dead raccoon in the middle of {street}.",
        "A dead gull lies by the bus stop near {landmark}.",
        "Please remove a dead cat, children pass here.",
    ),
    "stray_animal": (
        "A big dog without a leash chases people near {landmark}.",
        "Hurt goose by the water, it cannot fly.",
        "Three stray dogs on {street} every evening.",
        "Loose dog bit a jogger's trousers this morning.",
    ),
    "rodent": (
        "Rats run around the dumpsters behind the restaurants every night.",
        "Several burrows along the fence of the playground near {landmark}.",
        "Saw six rats in broad daylight on {street}.",
        "Mice come into our courtyard from the empty shop next door.",
    ),
    "abandoned_vehicle": (
        "A car without plates has not moved for a month.",
        "Old van with flat tires is rotting near {landmark}.",
        "Someone left a boat trailer on {street}, no registration.",
        "Burnt-out scooter on the corner, {days} days now.",
    ),
    "illegal_parking": (
        "driveway|A truck blocks my driveway on {street}, I cannot leave for work.",
        "bike_lane|Van double parked in the bike lane by {landmark}.",
        "hydrant|Black SUV in front of the hydrant.",
        "bike_lane|Delivery vans stand in the bus lane every morning.",
        "driveway|Car across two driveways, driver nowhere to be seen.",
    ),
    "noise": (
        "party|Loud music from the bar downstairs until three in the morning.",
        "construction|Jackhammering before six every day this week on {street}.",
        "party|Party on the roof, the whole block is awake.",
        "commercial|Ventilation of the restaurant near {landmark} howls all night.",
        "construction|Pile driving on a Sunday, is that allowed?",
    ),
    "housing_condition": (
        "heat|No heat in our apartment for {days} days.",
        "mold|Black mold is spreading in the bathroom and the landlord does nothing.",
        "mold|The ceiling leaks every time it rains, landlord does not answer.",
        "bed_bugs|Bed bugs in the third apartment of our house now.",
        "heat|Hot water only between two and four at night.",
    ),
    "building_hazard": (
        "Bricks come off the facade and land on the sidewalk of {street}.",
        "They add a floor next door without any permit posted.",
        "The scaffold near {landmark} is loose and swings in the wind.",
        "Empty house with open windows, teenagers climb in at night.",
    ),
    "general_inquiry": (
        "How do I get a parking permit for visitors?",
        "I would like to thank the crew that fixed {street} so quickly.",
        "When does the public pool open this season?",
        "Whom do I ask about a street party on {street}?",
        "Could the tram stop at {landmark} get a bench?",
        "Do I need a permit to put a table in front of my shop?",
    ),
}  # fmt: skip

DETAILS: Lines = (
    "It has been like this for {days} days.",
    "Please send somebody soon.",
    "Right by {landmark}.",
    "Lots of children walk here.",
    "I have reported this before.",
    "Getting worse every day.",
    "Thanks for looking into it!",
    "My neighbours will tell you the same.",
    "You cannot miss it.",
    "Happy to show the place to your crew.",
)

SPAM: Lines = (
    "BEST PRICES on roof cleaning call now",
    "test test",
    "asdfgh",
    "hello is this working",
    "Earn money from home, ask me how",
    "my brother in law is an idiot, please fine him",
)

INTERNAL_NOTES: Lines = (
    "Called the reporter back, place confirmed.",
    "Crew asks for the long ladder truck.",
    "Same spot as last month, check the base course this time.",
    "Waiting for the utility's mark-out before we dig.",
    "Parts ordered, supplier says three working days.",
    "Contractor's warranty still runs, invoice goes to them.",
    "Traffic control needed, not before nine.",
    "Private land on one side: ask Legal who clears it.",
    "Combined with the block sweep planned for this week.",
)
INTERNAL_ANSWERS: Lines = ("Noted, thanks.", "Done, see the work order.", "Agreed. Moving it to tomorrow's route.")

NOTES: Lines = (
    "Looks urgent on the photo.",
    "Check access with the tenant first.",
    "Reporter is reachable after five.",
    "Second call about this corner.",
)

CHECKLISTS: dict[str, dict[str, bool]] = {
    "general_inquiry": {"answered": True, "topic_filed": True},
    "noise": {"site_visited": True, "level_measured": True, "owner_warned": True},
    "illegal_parking": {"site_visited": True, "ticket_written": True},
    "abandoned_vehicle": {"owner_looked_up": True, "notice_placed": True, "towed": True},
}
CHECKLIST = {"work_done": True, "site_cleaned": True, "reporter_informed": True}

ESCALATION_REASONS: Lines = (
    "School route, cannot wait until next week.",
    "Council member asked for a date.",
    "Third report within a month, needs a lasting repair.",
    "Local paper is writing about it.",
    "Crew has no access, the owner has to be pressed.",
)
NOT_OURS: Lines = (
    "Private property",
    "State road, passed on to the state",
    "Nothing found on site",
    "Gone before we came",
)


def describe(rng: Random, category: str, language: str, *, street: str, landmark: str) -> tuple[str | None, str, str]:
    """A report's sub-category (None: not said), its text, and the language it came out in."""
    lines = OTHER_LANGUAGES.get(language, {}).get(category)
    if lines is None:
        language, lines = "en", REPORTS[category]
    sub, text = split(rng.choice(lines))
    if language == "en" and rng.random() < 0.55:
        text = f"{text} {rng.choice(DETAILS)}"
    return sub, filled(rng, text, street=street, landmark=landmark), language


def split(line: str) -> tuple[str | None, str]:
    """Sub-category and sentence of a line."""
    sub, bar, text = line.partition("|")
    return (sub, text) if bar else (None, line)


def filled(rng: Random, text: str, *, street: str, landmark: str) -> str:
    """The line with its slots filled."""
    return text.format(street=street, landmark=landmark, days=rng.choice((2, 3, 4, 5, 6, 8, 10, 14)))


def talk(rng: Random, language: str, kind: str) -> str:
    """One line of talk: kind is question, answer, update, praise, complaint or dispute."""
    return rng.choice(TALK.get(language, TALK["en"])[kind])
