# A trainer: captions beside pictures, and the folder as a data set.
mv pictures 10_things
unprompt 10_things --sidecar --style tags --prefix 'sks, '
cut -c 1-5 10_things/coffee.txt
echo "# again: what is there is kept"
unprompt 10_things --sidecar
echo "# the folder is a data set"
unprompt data stats 10_things | head -4
unprompt evaluate 10_things --no-text
echo "# a caption without its picture"
mv 10_things/rocket.jpg .
unprompt data stats 10_things | head -4
