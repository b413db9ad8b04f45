# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nouns that yes/no questions ask about: by which words people name them, and which words leave it open.

A noun is in a photograph when two people name it, and is not when nobody names it or says anything that leaves it
open ("person" for "man", "animal" for "dog"). Nouns of one kind are each other's hard negatives: a woman for "man".
"""

import re

# Words for somebody who may be of any age and sex.
SOMEBODY = """person persons people somebody someone anyone individual individuals human humans adult adults teenager
teenagers teen teens couple family crowd group team audience band friend friends player players rider riders skater skaters
skateboarder skateboarders surfer surfers swimmer swimmers skier skiers snowboarder snowboarders climber climbers hiker hikers
runner runners racer racers cyclist cyclists bicyclist bicyclists biker bikers motorcyclist motorcyclists performer performers
dancer dancers worker workers soldier soldiers driver drivers athlete athletes goalie referee pitcher batter spectators fans
pedestrians passengers diver jumper kayaker kayakers rower rowers boater skydiver paddler musician musicians singer clown
gymnast wrestler wrestlers boxer boxers jockey officer police fisher youth youths toddlers opponent opponents"""
MEN = "man men guy guys gentleman gentlemen businessman businessmen fisherman fishermen cowboy cowboys groom father dad male males"
WOMEN = "woman women lady ladies bride bridesmaids mother mom mum female females businesswoman cheerleader cheerleaders"
CHILDREN = "child children kid kids toddler toddlers baby babies infant"
DOGS = """dog dogs puppy puppies pup pups greyhound greyhounds poodle terrier retriever labrador collie husky huskies bulldog
dachshund beagle dalmatian rottweiler hound hounds spaniel chihuahua corgi pomeranian dobermann doberman schnauzer"""
BIRDS = """bird birds duck ducks goose geese seagull seagulls gull gulls pigeon pigeons eagle swan swans hawk parrot pelican
pelicans flamingo flamingos chicken chickens rooster penguin heron owl crow"""
WATERS = """water waters waterfall waterfalls ocean sea lake pond river stream creek pool pools wave waves puddle puddles rapids
surf surfer surfers surfing surfs splash splashes splashing swim swims swimming swimmer underwater fountain"""
DAMP = """wet beach shore dock pier boat boats kayak canoe raft rafting rain sprinkler sprinklers hose bath bathing tub mud
muddy fishing dive dives diving paddle paddling rowing ice island coast harbor bay seagull sled waterslide slide"""
BALLGAMES = """football soccer basketball tennis baseball volleyball rugby softball golf cricket bowling pitcher batter goalie
lacrosse polo hockey juggling juggles kick kicks kicking pitch"""

# kind: (what is asked, words that name it, words that leave it open)
_TABLE = {
    "people": [
        ("a man", MEN, SOMEBODY + " he his him elderly bearded"),
        ("a woman", WOMEN, SOMEBODY + " she her elderly"),
        ("a boy", "boy boys", SOMEBODY + " " + CHILDREN + " he his him young"),
        ("a girl", "girl girls", SOMEBODY + " " + CHILDREN + " she her young"),
        ("a child", CHILDREN + " boy boys", SOMEBODY + " girl girls little young"),
        ("a baby", "baby babies infant toddler toddlers", "child children kid kids family little small"),
        ("a person", " ".join((SOMEBODY, MEN, WOMEN, CHILDREN, "boy boys girl girls")),
         "hand hands arm arms leg legs feet face owner he she his her him who they he's costume team race"),
    ],
    "animals": [
        ("a dog", DOGS, "animal animals pet pets creature wolf boxer pug hotdog"),
        ("a horse", "horse horses pony ponies bronco stallion", "animal animals bull rodeo jockey carriage polo"),
        ("a bird", BIRDS, "animal animals wings flying"),
        ("a cat", "cat cats kitten kittens", "animal animals pet pets"),
        ("a cow", "cow cows bull bulls calf cattle", "animal animals rodeo steer"),
        ("a sheep", "sheep lamb lambs ram", "animal animals goat goats"),
    ],
    "toys": [
        ("a ball", "ball balls", BALLGAMES + " toy toys object something"),
        ("a frisbee", "frisbee frisbees", "disc disk toy toys object something"),
        ("a stick", "stick sticks", "branch branches log wood pole poles toy object something bat ski skis hockey lacrosse"),
        ("a rope", "rope ropes", "leash climbing climber climb climbs harness tug string cord swing swinging line"),
        ("a swing", "swing swings swinging", "rope playground park hanging tire"),
        ("a slide", "slide slides sliding", "playground park waterslide inflatable chute"),
        ("a trampoline", "trampoline trampolines", "bounce bouncing net"),
        ("a guitar", "guitar guitars guitarist", "instrument instruments band music musician musicians bass"),
        ("a camera", "camera cameras photographer photographers", "picture pictures photo photograph posing poses pose video"),
    ],
    "ground": [
        ("water", WATERS, DAMP),
        ("snow", "snow snowy", "ski skis skier skiers skiing snowboard snowboarder snowboarding sled sledding ice icy winter "
         "mountain mountains snowball snowman slope"),
        ("grass", "grass grassy lawn", "field yard backyard park meadow hill hillside soccer football baseball golf pasture garden "
         "outside outdoors ground weeds leaves green"),
        ("sand", "sand sandy", "beach dune dunes desert dirt shore ocean volleyball"),
        ("dirt", "dirt dusty", "mud muddy sand ground trail path field baseball track motocross dust desert race hill"),
        ("ice", "ice icy frozen", "snow hockey skating skate skater rink winter"),
        ("mud", "mud muddy", "dirt dirty puddle"),
    ],
    "waters": [
        ("the ocean", "ocean sea", "water waters wave waves beach surf surfer surfers surfing shore lake river bay coast boat"),
        ("a pool", "pool pools", "water swimming swim swims swimmer diving tub"),
        ("a lake", "lake pond", "water river stream ocean sea dock shore pier creek boat kayak canoe"),
        ("a river", "river stream creek", "water lake pond rapids ocean waterfall kayak canoe raft rafting"),
        ("a wave", "wave waves", "surf surfing surfer surfers water ocean sea surfboard beach waving"),
        ("a fountain", "fountain fountains", "water sprinkler"),
        ("a beach", "beach beaches seashore", "sand sandy ocean sea water wave waves shore coast lake dune surf"),
    ],
    "places": [
        ("a street", "street streets road sidewalk",
         "city crosswalk path pavement traffic parade car parking alley outside walkway "
         "concrete downtown urban"),
        ("a field", "field fields meadow pasture", "grass grassy lawn yard park soccer football baseball rugby game ground"),
        ("a mountain", "mountain mountains", "hill hills cliff rock rocks rocky peak slope climb climbs climbing climber ski "
         "skiing skier snowboarder summit hiking hiker"),
        ("a rock", "rock rocks rocky boulder boulders cliff stone stones", "mountain mountains climb climbs climbing climber wall "
         "hill shore"),
        ("a tree", "tree trees", "forest woods wooded branch branches leaves park log jungle palm pine outside outdoors bushes "
         "garden hill yard mountain mountains"),
        ("a forest", "forest woods wooded", "tree trees jungle leaves path trail park bushes log"),
        ("a building", "building buildings", "city house store street skyscraper church wall window architecture downtown brick "
         "town structure temple tower"),
        ("a wall", "wall walls", "building brick graffiti climbing fence indoor room rock stone mural painting painted"),
        ("a playground", "playground", "swing slide park monkey bars toy"),
        ("a bridge", "bridge bridges", "walkway dock pier river"),
        ("a fence", "fence fences", "gate railing barrier wall net rail rails hurdle yard"),
        ("stairs", "stairs steps staircase stairway", "railing step rail stair escalator"),
    ],
    "vehicles": [
        ("a bike", "bike bikes bicycle bicycles bicyclist bicyclists biker bikers cyclist cyclists bmx",
         "motorcycle motorcycles motorcyclist motorbike motorcross motocross rider riders unicycle scooter tricycle wheel wheelie"),
        ("a motorcycle", "motorcycle motorcycles motorcyclist motorcyclists motorbike motorbikes",
         "bike bikes biker bikers rider atv scooter vehicle race racing racer motocross dirtbike"),
        ("a car", "car cars taxi", "vehicle vehicles truck van jeep traffic parking race racing road street suv automobile"),
        ("a boat", "boat boats sailboat ship canoe kayak raft", "vessel paddle paddling rowing rapids dock rafting kayaker "
         "kayaking watercraft harbor tube"),
        ("a skateboard", "skateboard skateboards skateboarder skateboarders skateboarding", "skating skater skaters skate board "
         "trick tricks ramp"),
        ("a surfboard", "surfboard surfboards surfer surfers surfing", "board wave waves wakeboard bodyboard surf surfs"),
        ("a snowboard", "snowboard snowboards snowboarder snowboarders snowboarding", "board ski skis skier skiers skiing slope"),
        ("a sled", "sled sleds sledding", "tube snow toboggan"),
        ("a train", "train trains subway", "station railway rails"),
        ("a bus", "bus buses", "vehicle vehicles traffic"),
        ("a truck", "truck trucks", "vehicle vehicles van car jeep tractor"),
    ],
    "clothes": [
        ("a hat", "hat hats cap caps", "helmet helmets hood bandanna headband beanie wig costume costumes uniform uniforms "
         "sombrero cowboy headdress hardhat bonnet visor"),
        ("a helmet", "helmet helmets", "hat cap football hockey bicyclist motorcyclist biker rider gear uniform motorcycle"),
        ("a shirt", "shirt shirts t-shirt t-shirts tshirt sweatshirt", "top tops dressed uniform uniforms clothing clothes sweater "
         "jersey jerseys outfit outfits tee blouse vest plaid striped"),
        ("a jacket", "jacket jackets coat coats parka", "vest sweater suit suits hoodie sweatshirt uniform outfit robe"),
        ("a dress", "dress dresses gown", "skirt skirts costume costumes bride wedding outfit outfits dressed clothes robe robes "
         "sundress"),
        ("sunglasses", "sunglasses", "glasses goggles shades"),
        ("shorts", "shorts", "trunks bathing swimsuit swim uniform uniforms basketball soccer tennis pants"),
        ("a uniform", "uniform uniforms", "football soccer baseball basketball player players team jersey jerseys outfit police "
         "soldier soldiers military hockey rugby karate"),
        ("a collar", "collar collars", "leash harness"),
    ],
    "furniture": [
        ("a bench", "bench benches", "seat seats seated chair chairs sitting sits"),
        ("a table", "table tables", "desk restaurant eating food picnic bar kitchen counter meal dinner"),
        ("a chair", "chair chairs", "seat seats bench couch sofa sitting sits seated stool wheelchair"),
        ("a bed", "bed beds", "couch blanket pillow mattress sleeping"),
        ("a tent", "tent tents", "camping canopy camp"),
        ("a flag", "flag flags", "banner parade"),
        ("a ramp", "ramp ramps", "skateboard skateboarder skateboarding trick skate halfpipe jump pipe"),
        ("an umbrella", "umbrella umbrellas", "parasol tent"),
    ],
}

_WORD = re.compile(r"[a-z]+(?:-[a-z]+|'s)?")


class Noun:
    def __init__(self, asked, kind, names, open_):
        self.asked, self.kind = asked, kind
        self.names = frozenset(names.split())
        self.open = frozenset(open_.split()) - self.names


NOUNS = [Noun(asked, kind, names, open_) for kind, rows in _TABLE.items() for asked, names, open_ in rows]


def words(caption):
    return set(_WORD.findall(caption.lower()))


def judge(noun, said):
    """1: there, 0: not there, None: open. `said`: the set of words of each person."""
    named = sum(not noun.names.isdisjoint(s) for s in said)
    if named:
        return 1 if named >= 2 else None
    return None if any(not noun.open.isdisjoint(s) for s in said) else 0
