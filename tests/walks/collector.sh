# A collector: which prompt made which picture, and copies that say nothing.
unprompt pictures -o prompts.csv
python -c 'import csv; [print(row["source"], row["origin"], len(row["prompt"]) > 9) for row in csv.DictReader(open("prompts.csv"))]'

echo "# the same again: nothing is overwritten"
unprompt pictures -o prompts.csv || echo "exit code $?"

echo "# what a file says"
unprompt metadata pictures/written.png
unprompt metadata pictures/written.png --field seed

echo "# a broken picture among them"
head -c 3000 pictures/rocket.jpg > pictures/broken.jpg
unprompt pictures -o more.jsonl --resume || echo "exit code $?"

echo "# a page, and copies without metadata"
unprompt pictures/written.png pictures/coffee.jpg -o gallery.html
grep -c 'class="card' gallery.html
unprompt metadata pictures/written.png --strip -o clean
unprompt metadata clean/written.png || echo "exit code $?"
