# An administrator without a network: what can run here, and what is missing.
unprompt doctor --json doctor.json > /dev/null
python -c '
import json
presets = json.load(open("doctor.json"))["presets"]
print(*sorted(presets) if isinstance(presets, dict) else [preset["name"] for preset in presets])
'
unprompt --offline pictures/coffee.jpg
echo "# a preset whose models are not here"
unprompt pictures/coffee.jpg --preset quick --offline || echo "exit code $?"
echo "# the service, without starting it"
unprompt serve --check || echo "exit code $?"
unprompt models verify
