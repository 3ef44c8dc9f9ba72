"""What students and staff of the sample campus write. Slots: {room} and {days}; a line names no building, its place does.

Each line has the category that facilities would file it under.
"""

from random import Random

Lines = tuple[str, ...]

REPORTS: dict[str, Lines] = {
    "elevator": (
        "The elevator is out of service again, that makes three times this month.",
        "Lift stops between floors and the doors stay shut for a minute. Scary.",
        "Elevator does not come when you press the call button on the ground floor.",
        "My friend uses a wheelchair and cannot get to class because the lift is broken.",
        "El ascensor no funciona desde ayer.",
    ),
    "heating_cooling": (
        "It is freezing in room {room}, the radiator is stone cold.",
        "Air conditioning in {room} blows hot air, nobody can concentrate.",
        "Radiator in room {room} cannot be turned down, it is like a sauna.",
        "No ventilation in {room} and the windows do not open.",
        "La calefacción del aula {room} no enciende.",
    ),
    "plumbing": (
        "Water is dripping from the ceiling in the corridor by room {room}.",
        "The toilet on this floor is clogged and the water comes over the edge.",
        "No hot water in the showers for {days} days.",
        "The tap in the kitchen next to {room} does not stop running.",
        "Big puddle under the sink in {room}, somebody will slip.",
        "Hay una fuga de agua en el baño.",
    ),
    "electrical": (
        "Half of the outlets in room {room} have no power.",
        "Lights in the stairwell keep flickering.",
        "A lamp in {room} burnt out {days} days ago.",
        "Sparks came out of the socket next to the door of room {room}!",
        "The corridor on this floor is completely dark in the evening.",
    ),
    "network": (
        "Wi-Fi drops every few minutes on this floor.",
        "Cannot connect to the campus network in room {room}.",
        "The printer by room {room} says offline all day.",
        "Internet is so slow that the lecture recording does not load.",
        "El wifi no funciona en el aula {room}.",
    ),
    "classroom": (
        "The projector in {room} shows everything in pink.",
        "Microphone in lecture hall {room} cuts out all the time.",
        "Two chairs in room {room} are broken, one collapsed today.",
        "No HDMI cable in {room}, and class starts in an hour.",
        "The blinds in {room} are stuck, nobody can see the screen.",
    ),
    "access_security": (
        "The back door does not lock, anybody can walk in at night.",
        "Card reader at room {room} does not accept my card although I have access.",
        "My bike was stolen from the rack, the lock was cut.",
        "Emergency exit is blocked by a stack of tables.",
        "Somebody I have never seen sleeps in the basement corridor.",
    ),
    "cleaning": (
        "Trash cans are overflowing since the weekend.",
        "No soap and no toilet paper in the restroom by {room}.",
        "There are mice in the kitchen, I saw two of them.",
        "Somebody spilled soda all over the stairs, it is sticky everywhere.",
        "It stinks in the hallway near {room}.",
    ),
    "grounds": (
        "The steps at the entrance are covered with ice.",
        "A big branch hangs over the path, it could fall any moment.",
        "Hole in the pavement in front of the entrance, I twisted my ankle.",
        "The bike rack is full of abandoned bikes.",
        "Two cars are parked across the accessible spaces.",
    ),
    "noise": (
        "Loud music from the floor above, every night until three.",
        "They drill next to room {room} during exams.",
        "Shouting in the courtyard long after quiet hours.",
    ),
}

# Said so that nobody could file it: a person decides.
PUZZLES: Lines = (
    "Can somebody please look into this, it happened again.",
    "Same problem as last week.",
    "Not good at all in there.",
    "Who do I talk to about the thing by the entrance?",
)

# What the second and third who see the same thing write.
AGAIN: Lines = ("Same here: {text}", "{text} Please fix it.", "Still not repaired. {text}", "{text}")


def sentence(rng: Random, category: str) -> str:
    """One report's text."""
    line = rng.choice(REPORTS[category])
    return line.format(room=f"{rng.randrange(1, 5)}{rng.randrange(1, 30):02d}", days=rng.randrange(2, 9))


def again(rng: Random, text: str) -> str:
    """The same thing in another reporter's mouth."""
    return rng.choice(AGAIN).format(text=text)
