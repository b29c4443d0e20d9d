# A researcher: a score with an interval, and a submission.
cat > labelled.jsonl <<'RECORDS'
{"file_name": "pictures/coffee.jpg", "prompt": "a cup of coffee on a wooden table", "kind": "photo"}
{"file_name": "pictures/rocket.jpg", "prompt": "a rocket on its launch pad at night", "kind": "photo"}
{"file_name": "pictures/chelsea.jpg", "prompt": "a portrait of a tabby cat", "kind": "photo"}
RECORDS
unprompt evaluate labelled.jsonl --results mine.jsonl --html report.html
unprompt evaluate --compare mine.jsonl mine.jsonl

echo "# a typing error in the data"
sed 's/"prompt"/"promt"/' labelled.jsonl > wrong.jsonl
unprompt evaluate wrong.jsonl || echo "exit code $?"

echo "# a submission, checked"
unprompt kaggle submit pictures -o submission.csv
unprompt kaggle check submission.csv
