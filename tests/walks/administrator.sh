# An administrator without a network: what can run here, and what is missing.
unprompt doctor --offline --json > doctor.json
python -c '
import json
presets = json.load(open("doctor.json"))["presets"]
print(*sorted(preset["preset"] for preset in presets))
'
unprompt --offline pictures/written.png
unprompt --offline pictures/coffee.jpg | wc -l
echo "# a preset whose models are not here"
unprompt pictures/coffee.jpg --preset quick --offline || echo "exit code $?"
echo "# the service, without starting it"
unprompt serve --check || echo "exit code $?"
unprompt models verify > /dev/null && echo "whole"
