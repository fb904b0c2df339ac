"""Questions as people put them, by what they ask for."""

from __future__ import annotations

WORDINGS: dict[tuple[str, ...], str] = {
    ("presence", "ship"): """
        is there a ship?
        are there any ships?
        Is there any boat in this picture?
        can you see boats?
        Do you see any vessels in the image?
        any ships?
        ships present?
        Does this picture contain a boat?
        does the scene show ships
        are ships visible on the map?
        Could you tell me if there are ships, please?
        I wonder whether there are any ships.
        is there at least one ship?
        are there one or more ships?
        are there ships on the water?
        is there a presence of ships?
        are there any ships or boats?
        are there ships or not?""",
    ("presence", "airport"): """
        is this an airport?
        Is it an airport
        is this a picture of an airport?
        is the airport visible""",
    ("presence", "airplane"): "are there any airplanes in this picture?\nany planes?\nmight there be a plane?",
    ("presence", "tree"): "does this picture contain trees?\nis there any tree?",
    ("presence", "water"): "is there water\nis water there?",
    ("presence", "residential area"): "is it residential?\nis this a residential area?",
    ("presence", "car", "", "", "red"): "is there a red car?\nare there any red cars in the photo?",
    ("count", "ship"): """
        how many ships are there?
        How many vesels in the picture
        how many ships are in the whole picture?
        count all the ships
        are there any ships? How many?
        are there any ships and how many ships are there
        how many boats are on the water?
        how many ships
        number of ships?
        what is the number of boats
        what's the total number of boats in this scene?
        count the ships
        Can you please count the number of ships?
        ship count
        count of ships
        how mny ships
        how many ships does the picture show?
        Tell me how many ships there are.
        how many ships can be seen here
        in this picture, how many ships do you see?
        How many ship's are there?
        how many ships and boats are there altogether?""",
    ("count", "airplane"): """
        number of planes?
        what is the number of aircraft
        how many aircrafts are present?
        how many airplans
        how many aiplanes are there""",
    ("count", "car", "", "", "red"): "how many RED cars\nnumber of red automobiles in the picture?",
    ("count", "car", "", "", "gray"): "how many grey cars\nhow many gray cars are there",
    ("count", "building", "", "", "square"): "how many square buildings?",
    ("count", "tennis court"): "how many tenis courts\nHow many tennis-courts in the picture?",
    ("count", "swimming pool"): "how many swiming pools are there?\nhow many pools",
    ("count", "crossroads"): "how many intersections\nhow many cross points are there?",
    ("threshold", "ship", "", "at least 6"): """
        are there more than five ships?
        Are there at least 6 boats in the picture?
        are there six or more ships
        is the number of ships greater than five?
        no less than 6 ships?""",
    ("threshold", "ship", "", "at most 2"): """
        are there fewer than 3 ships?
        are there at most two ships?
        can you see 2 or fewer ships""",
    ("threshold", "ship", "", "no"): "is there no ship?\nare there no boats here\nless than one ship?",
    ("threshold", "water", "", "no"): "is there no water?",
    ("comparison", "ship", "airplane", "more"): """
        are there more ships than airplanes?
        Are there more boats than planes in this picture?
        are there fewer airplanes than ships?
        are there less planes than vessels
        does the picture show more ships than planes?
        is the number of ships greater than the number of planes?
        is the number of ships larger than the number of airplanes?
        is there a larger number of ships than airplanes?
        do ships outnumber planes?
        could you tell me whether there are more ships than planes""",
    ("comparison", "building", "tree", "more"): "are there more buildings than trees?\nmore buildings than trees?",
    ("comparison", "car", "tree", "equal"): """
        are there as many cars as trees?
        is the number of cars equal to the number of trees?
        Is the number of cars the same as the number of trees?
        are there the same number of cars and trees
        is there an equal number of cars and trees?
        is the number of cars and trees the same?""",
    ("theme",): """
        what is the theme of this picture?
        What is the main theme?
        what kind of place is this?
        what type of scene
        what type of area is shown in this image?
        what sort of place do you see
        land use?
        what is the land use of this area
        what is the land cover
        what is this place?
        what is the scene class?
        classify the scene""",
    ("rural_urban",): """
        rural or urban?
        is this a rural or an urban area
        is it urban or rural
        Is this area urban?
        is it rural?
        is this a rural area or an urban area?
        what is it, urban or rural?
        does this picture show a city or the countryside?""",
    ("location", "airplane"): """
        where are the airplanes?
        where are all the airplanes?
        Where is the plane
        where's the aircraft located?
        what is the location of the airplanes in this picture?
        position of the plane
        what is the position of the plane
        in which part of the image is the airplane?
        which part of the picture are the planes in?
        on which side are the planes
        locate the airplane
        can you show me where the airplanes are?""",
    ("location", "car", "", "", "yellow"): "where is the yellow car?\nwhat is the location of the yellow car",
    ("location", "airplane", "", "", "large"): "where is the largest plane\nposition of the big airplane",
    ("relation", "playground", "", "near"): """
        what is near the playground?
        what's close to the playground
        what can be seen near the playground?
        what things are near to the playground
        describe what is near the playground""",
    ("relation", "stadium", "", "around"): """
        what surrounds the stadium?
        what is around the stadium
        what is the stadium surrounded by?""",
    ("relation", "river", "", "next to"): "what lies next to the river\nwhat is adjacent to the river?",
    (
        "relation",
        "road",
        "",
        "on two sides of",
    ): "what is on both sides of the road?\nwhat's on either side of the road",
    (
        "relation",
        "park",
        "",
        "in the middle of",
    ): "what is in the middle of the park?\nwhat is in the centre of the park",
    ("relation", "port", "", "in"): "what is in the harbor?\nwhat can you see in the port",
    ("color", "building"): """
        what color are the buildings?
        what colour is the building
        colour of the buildings
        which color do the buildings have
        what is the color of the building?""",
    ("description",): """
        describe the picture
        Please describe this image.
        describe what you see
        what is in this picture?
        what can be seen here?
        what does this picture show?
        caption
        write a caption
        give me a description of the scene
        describe this satellite image in detail
        what does the aerial photo show?
        tell me about this image
        what's this?""",
}
"""(kind, thing, other, relation, attribute), empty at the end or where there is none → wordings, one a line."""
