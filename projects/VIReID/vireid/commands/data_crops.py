"""Cut persons from a video by a tracker's boxes: crops by tracks, and a list of them.

Finding persons in the frames, and following them, is a tracker's work; docs/from_video.md shows one. This
command reads its boxes and writes DIR/<camera>_t<track>/<frame>.jpg and DIR/crops.csv.
"""

import argparse
import datetime
from pathlib import Path

from vireid.command_line import number_from, share
from vireid.errors import ConfigError

EXAMPLES = """
a line of FILE.txt (MOT format; commas or blanks, more columns are not read; frames count from 1):
  frame,track,left,top,width,height

examples:
  vireid data crops --video gate.mp4 --boxes gate.txt --output crops/gate --start 2026-01-31T18:30:00
  frames of a folder, ten a second, and a tenth of the box more on each side:
    vireid data crops --frames gate/img1 --fps 10 --boxes gate.txt --output crops/gate --margin 0.1
  every fifth box of a track; index what was cut:
    vireid data crops --video gate.mp4 --boxes gate.txt --output crops/gate --every 5
    vireid search index --gallery crops/gate --table crops/gate/crops.csv --store store ...
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where frames and boxes are, and what is known of the camera."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--video", type=Path, metavar="FILE", help="of any format that FFmpeg reads (the extra video)"
    )
    source.add_argument("--frames", type=Path, metavar="DIR", help="images: the n-th is frame n")
    parser.add_argument(
        "--boxes", type=Path, required=True, metavar="FILE.txt", help="of a tracker, see below"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="new or empty")
    parser.add_argument("--camera", metavar="NAME", help="default: the name of the video or folder")
    parser.add_argument(
        "--modality", choices=("visible", "infrared"), help="default: infrared where the crops have no color"
    )
    parser.add_argument(
        "--margin", type=share, default=0.0, metavar="P", help="of the box, added on each side (default 0)"
    )
    parser.add_argument(
        "--every",
        type=number_from(1),
        default=1,
        metavar="N",
        help="cut every N-th box of a track (default 1)",
    )
    parser.add_argument(
        "--start", type=moment, metavar="TIME", help="when the first frame was taken: 2026-01-31T18:30:00"
    )
    parser.add_argument("--fps", type=float, metavar="N", help="frames a second of --frames, for --start")


def run(args: argparse.Namespace) -> None:
    """Cut, list, and say what was left out."""
    from vireid.data.boxes import read_boxes
    from vireid.data.crops import LIST, crop_tracks
    from vireid.data.video import frames_of_folder, frames_of_video

    if args.fps is not None and not 0 < args.fps <= 1000:
        raise ConfigError(f"--fps {args.fps:g}; expected a number above 0, at most 1000")
    if args.frames and args.start and args.fps is None:
        raise ConfigError("--start with --frames needs --fps: a folder does not say how long a frame lasts")
    source = args.video or args.frames
    boxes = read_boxes(args.boxes)
    report = crop_tracks(
        frames_of_video(source) if args.video else frames_of_folder(source, args.fps),
        boxes,
        args.output,
        source=str(source),
        camera=args.camera or source.resolve().stem,
        infrared=None if args.modality is None else args.modality == "infrared",
        margin=args.margin,
        every=args.every,
        start=args.start,
    )
    modality = "infrared" if report.infrared else "visible"
    print(f"{args.output / LIST}: {report.crops} {modality} crops of {report.tracks} tracks")
    for count, what in (
        (report.clipped, "boxes reached beyond the frame and were clipped"),
        (report.outside, "boxes were outside the frame and were left out"),
        (report.unreadable, f"frames could not be read, with {report.lost} boxes in them"),
    ):
        if count:
            print(f"note: {count} {what}")


def moment(text: str) -> datetime.datetime:
    """The type of an argument that is a date and a time without a zone."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is not None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-01-31T18:30:00")
    return time


def interrupted(args: argparse.Namespace) -> str:
    """What is left."""
    return f"; {args.output} was not written"
